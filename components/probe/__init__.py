"""Judges how the model serves."""
