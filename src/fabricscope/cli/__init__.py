"""The command line: one file a command, errors as one sentence, exit status 0, 1 or 2."""

from fabricscope.cli.app import main

__all__ = ["main"]
