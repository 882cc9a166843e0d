"""A user's backward judged from the shell, its code in a process of its own."""
