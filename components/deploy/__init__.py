"""Takes a release live, and back."""
