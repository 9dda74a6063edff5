"""`python -m modelway.pipelines.cli`."""

from modelway.pipelines.cli import start

start()
