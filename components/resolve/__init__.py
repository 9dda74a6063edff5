"""Resolves what a run works on before anything is changed."""
