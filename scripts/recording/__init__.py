"""A step written down as kernel calls, and replayed: nothing here knows of networks."""
