"""The audit log, and what it decides: who approved what, what serves where."""
