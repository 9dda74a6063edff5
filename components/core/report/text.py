"""Texts of others as people may read them."""

from __future__ import annotations

import json
import unicodedata

_SHOWN = {"\n", "\t"}


def printable(text: str) -> str:
    """A text with what is not drawn as itself escaped: control and format characters, separators, unassigned ones.

    So no escape sequence reaches a terminal, and no mark of direction (Unicode Technical Report 36, 2.10) makes a text
    read as another. Escapes are JSON's, so that a printable JSON document is the same document.
    """
    return "".join(
        json.dumps(character)[1:-1]
        if character not in _SHOWN and unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        else character
        for character in text
    )
