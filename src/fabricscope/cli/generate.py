"""`fabricscope generate`: synthetic traffic with known truth."""

import tomllib

from fabricscope.collectors.synthetic import generate
from fabricscope.errors import ConfigError


def run(recipe: str, out: str, seed: int | None, settings: list[str], quiet: bool) -> None:
    """Generate `out` from `recipe`, with entries changed by `settings` (KEY=VALUE)."""
    from fabricscope.cli.progress import Progress

    overrides = dict(_setting(text) for text in settings)
    with Progress(enabled=not quiet, unit="packets") as progress:
        truth = generate(recipe, out, seed=seed, progress=progress.update, overrides=overrides)
    if not quiet:
        print(f"{truth.packets:,} packets written to {out}")


def _setting(text: str) -> tuple[str, object]:
    """Return key and value of `KEY=VALUE`; the value as TOML, or as text when it is none."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {text!r} is not KEY=VALUE, such as network.ip_version=6.")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value
