"""One capture analyzed with the usual settings into its document, for those who wait for it."""

from typing import Any

from fabricscope.pipeline.analysis import Options, analyze
from fabricscope.pipeline.document import build_document
from fabricscope.pipeline.sources import Progress

__all__ = ["analyze_capture"]


def analyze_capture(path: str, progress: Progress = lambda done, total: None) -> dict[str, Any]:
    """Return the JSON document of the capture `path`. Raises CaptureError."""
    return build_document(analyze([path], Options(), progress))
