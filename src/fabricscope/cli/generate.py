"""`fabricscope generate`: synthetic traffic with known truth."""

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from fabricscope.collectors.synthetic import generate, load_recipe
from fabricscope.errors import ConfigError

if TYPE_CHECKING:
    from fabricscope.collectors.synthetic.truth import Truth


def run(recipe: str, out: str, seed: int | None, settings: list[str], quiet: bool) -> None:
    """Generate `out` from `recipe`, with entries changed by `settings` (KEY=VALUE)."""
    from fabricscope.cli.progress import Progress

    overrides = dict(_setting(text) for text in settings)
    # A wrong recipe is refused before anything is compiled.
    load_recipe(recipe, overrides)
    if not Path(out).parent.is_dir():
        raise ConfigError(f"{out} cannot be written: there is no folder {Path(out).parent}.")
    if not quiet and not _is_compiled():
        print(
            "fabricscope: compiling the traffic generator for this machine, once; this takes "
            "about a minute",
            file=sys.stderr,
            flush=True,
        )
    with Progress(enabled=not quiet, unit="packets") as progress:
        truth = generate(recipe, out, seed=seed, progress=progress.update, overrides=overrides)
    if not quiet:
        print("\n".join(describe_files(truth)))


def describe_files(truth: "Truth") -> list[str]:
    """Return a line for each file that was written."""
    lines = [
        f"{capture}: {tap['packets']:,} packets, "
        + ", ".join(f"{count:,} {kind}" for kind, count in tap["kinds"].items())
        for capture, tap in zip(truth.captures, truth.content["taps"], strict=True)
    ]
    return [*lines, f"{truth.truth_file}: what happened, and what each tap could see of it"]


def _is_compiled() -> bool:
    """Tell whether the compiled form of the generator's main loop is on disk and not outdated."""
    from fabricscope.collectors.synthetic.transport import kernels

    stats = getattr(kernels.run, "stats", None)
    if stats is None:  # NUMBA_DISABLE_JIT is set: nothing will be compiled
        return True
    source = Path(kernels.__file__)
    indexes = Path(stats.cache_path).glob("*.run-*.nbi")
    return any(index.stat().st_mtime >= source.stat().st_mtime for index in indexes)


def _setting(text: str) -> tuple[str, object]:
    """Return key and value of `KEY=VALUE`; the value as TOML, or as text when it is none."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {text!r} is not KEY=VALUE, such as network.ip_version=6.")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value
