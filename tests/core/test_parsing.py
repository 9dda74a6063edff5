from __future__ import annotations

import math

import pytest

from modelway.components.core.parsing import MalformedError, check_size, parse_json


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": [1, 2.5, "\xc3\xa4", true, null]}', {"a": [1, 2.5, "ä", True, None]}),
        ('"ä"', "ä"),
        ('"\\ud83d\\ude00"', "😀"),
        ("[" + "[]," * 300 + '"{"]', None),
        ("[" * 190 + "]" * 190, None),
        ("Infinity", math.inf),
        ("1" * 4_000, int("1" * 4_000)),
    ],
)
def test_json_is_read(content: bytes | str, expected: object) -> None:
    value = parse_json(content)
    assert expected is None or value == expected


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[" * 300 + "]" * 300,
        '{"a":' * 300 + "1" + "}" * 300,
        "[" * 100_000,
        '"\\ud800"',
        "\ud800",
        b"\xff",
        '{"a": 1}'.encode("utf-16"),
        "1" * 5_000,
    ],
)
def test_what_is_no_json_or_goes_too_far_is_a_value_error(content: bytes | str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds, which callers do not tell apart
        parse_json(content)


def test_a_text_that_is_too_great_is_refused_with_a_remedy() -> None:
    check_size("abc", 3)
    with pytest.raises(MalformedError, match="it is greater than 3 MB") as error:
        check_size(b" " * 3_000_001, 3_000_000)
    assert error.value.remedy
