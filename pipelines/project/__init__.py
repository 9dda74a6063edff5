"""A project's folder: proposed, read, and packaged as an image."""
