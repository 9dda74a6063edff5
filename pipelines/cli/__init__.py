"""The `modelway` command: a file a command, put together in `main`."""
