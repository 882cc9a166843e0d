"""Pictures of digits, read by a network that was trained."""
