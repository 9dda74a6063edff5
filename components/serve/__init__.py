"""The model server that a released model runs in."""
