"""Ends the run where a gate blocks it."""
