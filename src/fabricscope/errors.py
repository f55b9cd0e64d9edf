"""Errors that a user can cause. One sentence each: what is wrong, where, and what to do next.

FabricscopeError                 base: printed as one line, exit status 2
+-- CaptureError                 a capture file cannot be opened, recognised or read at all
+-- RecipeError                  a traffic recipe has a missing, unknown or impossible entry
+-- ConfigError                  an option or a configuration file is wrong
+-- FabricError                  a fabric, scenario or workload is impossible or misspelt
+-- StoreError                   a store cannot be read or written
|   +-- StoreFullError           the disk under it is full
|   +-- TooManyRowsError         an answer would have more rows than one may have
+-- DependencyError              a program or an optional package is not installed

Anything else that escapes is a bug and is allowed to crash.
"""


class FabricscopeError(Exception):
    """What is wrong, where, and what to do next, in one sentence."""


class CaptureError(FabricscopeError):
    """A capture cannot be opened, recognised or read."""


class RecipeError(FabricscopeError):
    """A traffic recipe cannot be used; names the file and the key."""


class ConfigError(FabricscopeError):
    """An option or a configuration entry cannot be used; names it."""


class FabricError(FabricscopeError):
    """A fabric, scenario or workload cannot be built; the message names the file and key."""


class StoreError(FabricscopeError):
    """A store cannot be read or written; names it and says what to do."""


class StoreFullError(StoreError):
    """The disk under the store is full."""


class TooManyRowsError(StoreError):
    """An answer would have too many rows: take a shorter range or fewer points."""


class DependencyError(FabricscopeError):
    """A program or a package that is needed for this command is missing; says how to get it."""
