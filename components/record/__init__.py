"""Records what became of a run."""
