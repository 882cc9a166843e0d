"""Pages of one HTML file: their scripts and styles, and what puts them together."""
