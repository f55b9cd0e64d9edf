"""The type of the fixture that turns captures into the document of `analyze`."""

from pathlib import Path
from typing import Any, Protocol


class Analyze(Protocol):
    """Analyzes captures with `pipeline.analysis.Options`; returns the JSON document."""

    def __call__(self, *paths: str | Path, **options: Any) -> dict[str, Any]: ...
