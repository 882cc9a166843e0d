"""What PyTorch does with the same numbers, and how far it and manual/ are apart."""
