"""`python -m modelway.pipelines.cli`."""

from modelway.pipelines.cli.main import main

main()
