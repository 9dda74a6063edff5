"""Ingests a source and splits it."""
