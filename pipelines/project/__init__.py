"""A project's folder, and what is made of it."""
