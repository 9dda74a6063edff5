"""The three files that a project's owner writes, and what follows from them."""
