"""The reports that people read."""
