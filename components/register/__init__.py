"""Registers the model with its evidence."""
