"""What is probably wrong with a gradient, in a sentence."""
