"""Texts of others as people may read them."""

from __future__ import annotations

import json
import unicodedata

from modelway.components.core.addresses import without_secrets

_SHOWN = {"\n", "\t"}


def printable(text: str) -> str:
    """A text with what is secret in its addresses hidden, and what is not drawn as itself escaped.

    Escaped are control and format characters, separators, and unassigned ones.

    So no escape sequence reaches a terminal, and no mark of direction (Unicode Technical Report 36, 2.10) makes a text
    read as another. Escapes are JSON's, so that a printable JSON document is the same document.
    """
    return "".join(
        json.dumps(character)[1:-1]
        if character not in _SHOWN and unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        else character
        for character in without_secrets(text)
    )
