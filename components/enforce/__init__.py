"""Ends the run if a gate blocks it."""
