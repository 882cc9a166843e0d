"""The lecture by hand: operations, the network made of them, and its training step."""
