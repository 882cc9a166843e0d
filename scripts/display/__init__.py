"""What a run shows: the board, its pictures, the lines in the terminal."""
