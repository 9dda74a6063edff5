"""Whether the services that a run needs are there."""
