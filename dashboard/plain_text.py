"""Text that came from packets or file names, made harmless to show. Not HTML escaping.

Control characters could move the cursor or recolour a terminal; bidirectional and invisible
characters could make one name look like another. All are shown as their code instead.
"""

import unicodedata
from typing import Final

LIMIT: Final = 400
"""Longest text shown, in characters; longer ones end with an ellipsis."""
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def neutralise(value: object, limit: int = LIMIT) -> str:
    """Return `value` as one line of visible characters, at most `limit` of them."""
    text = str(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{{{code:x}}}"
