"""Records what became of the run."""
