"""The serving gate's checks, one module for each check."""
