"""Rejects the run with its reasons."""
