"""Packs a blessed model into a signed image."""
