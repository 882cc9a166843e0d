"""What is measured of a backward: where it is tried, and what is right there."""
