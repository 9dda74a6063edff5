"""Records a run's outcome."""
