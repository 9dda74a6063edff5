"""What the whole road needs, and how it is."""
