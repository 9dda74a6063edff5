from __future__ import annotations

import json

import pytest

from modelway.components.core.report.text import printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it is better\n\tby 3 %, Ünïcode, 田中, 👍", "it is better\n\tby 3 %, Ünïcode, 田中, 👍"),
        ("\x1b[2J\x07", "\\u001b[2J\\u0007"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
        ("a\u200bb\ufeff\u2028", "a\\u200bb\\ufeff\\u2028"),
        ("\U000e0041\ud800", "\\udb40\\udc41\\ud800"),
        ("\r\x7f\x9b", "\\r\\u007f\\u009b"),
    ],
)
def test_what_is_not_drawn_is_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_a_json_document_stays_the_same_document() -> None:
    document = {"reason": "\x1b[8m\u202e\U000e0041 \\ ok"}
    text = printable(json.dumps(document, ensure_ascii=False, indent=1))
    assert "\u202e" not in text
    assert json.loads(text) == document
