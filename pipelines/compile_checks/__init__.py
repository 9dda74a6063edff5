"""What can be known to be wrong before a pipeline is compiled."""
