"""Prepares the features."""
