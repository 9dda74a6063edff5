"""The release bundle: its files, signature and encryption."""
