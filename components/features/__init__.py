"""What registered models name by its import path, which therefore never moves."""
