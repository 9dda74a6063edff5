"""The deploy targets."""
