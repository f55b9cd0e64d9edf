"""The command line: one file a command, errors as one sentence, exit status 0, 1 or 2."""

from fabricscope.cli.app import main
from fabricscope.cli.parameters import take_plain_values

__all__ = ["main"]

take_plain_values()
