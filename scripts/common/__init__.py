"""What any program has: a command line, a status at its end, files, processes."""
