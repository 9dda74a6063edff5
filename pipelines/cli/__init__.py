"""The command `modelway`."""


def start() -> None:
    """Runs the command; Ctrl-C or SIGTERM ends it and what it began from its first import on, a second one at once."""
    import sys

    from modelway.components.core.termination import TerminatedError, on_first_signal, raise_terminated

    with on_first_signal(raise_terminated):
        try:
            from modelway.pipelines.cli.main import main

            main()
        except TerminatedError:  # before a command began
            sys.stderr.write("interrupted\n")
            raise
