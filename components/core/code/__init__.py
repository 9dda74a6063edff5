"""The code that a run runs."""
