"""The forms in which people write a forward and a backward, each called in one way."""
