"""Judges the data."""
