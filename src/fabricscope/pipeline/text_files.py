"""Files that people wrote, such as rules and signatures: read whole, within a bound, as UTF-8."""

from pathlib import Path
from typing import Final

from fabricscope.errors import ConfigError

MAX_FILE_BYTES: Final = 1 << 20


def read_text_file(path: Path) -> str:
    """Return the text of a file, or raise ConfigError that says what is wrong with it."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_FILE_BYTES} bytes; split it")
    try:
        return data.decode("utf-8-sig")  # some editors begin it with a mark
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
