from __future__ import annotations

import datetime as dt
import math
import time
from typing import Any

import pytest
import yaml

from modelway.components.core.parsing import MalformedError
from modelway.components.core.storage.yaml_text import parse_yaml

# What PyYAML's loader reads, and this one alike.
ALIKE = """\
texts: [a b, "yes", '012', "12:30", 'null', "~", y, n, 1e3, 08, 0o10, -.5, "<<"]
words: [true, True, TRUE, false, null, Null, NULL, ~, ]
numbers: [0, -1, +2, 12345678901234567890, 1.5, -0.25, .5, 1., 1.0e-06, 2.5E+3]
infinite: [.inf, -.INF, +.Inf]
block: |
  two
  lines
folded: >-
  one
  line
nested: {a: {b: [{c: 1}, [2, [3]]]}, d: []}
7: seven
true: yes indeed
empty:
anchored: &anchored {first: 1, second: 2}
alias: *anchored
merged: {<<: *anchored, second: 3}
twice: {<<: [{first: 7}, *anchored], third: 3}
"""


def test_what_both_versions_of_yaml_read_alike_is_read_as_pyyaml_does() -> None:
    assert parse_yaml(ALIKE).content == yaml.safe_load(ALIKE)
    assert math.isnan(parse_yaml(".nan").content)


@pytest.mark.parametrize(
    "value",
    [
        "012",
        "08",
        "1_000",
        "yes",
        "on",
        "12:30:45",
        "0x10",
        "1e3",
        "=",
        "<<",
        "~",
        "",
        "2024-05-01",
        "- a",
        "ä\n",
        "1.5",
    ],
)
def test_a_text_that_pyyaml_writes_is_read_back(value: str) -> None:
    assert parse_yaml(yaml.safe_dump({value: [value]})).content == {value: [value]}


@pytest.mark.parametrize("value", [dt.date(2024, 5, 1), dt.datetime(2024, 5, 1, 12, 30)])
def test_a_date_is_a_text(value: dt.date) -> None:
    assert parse_yaml(yaml.safe_dump([value])).content == [str(value)]


def test_a_merge_does_not_change_what_it_merges() -> None:
    content = parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}\n").content
    assert content == {"a": {"x": 1}, "b": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("key", "line"), [("b.c.1", 5), ("b.c", 3), ("b.d.x", 6), ("b.e.q", 2), ("a.x", 1), ("none", None), ("b.c.7", 3)]
)
def test_a_key_has_its_line(key: str, line: int | None) -> None:
    text = parse_yaml("a: &a {x: 1}\nb:\n  c:\n  - 1\n  - 2\n  d: {<<: *a}\n")
    assert text.line_of(key) == line


@pytest.mark.parametrize(
    ("text", "key", "line", "says"),
    [
        ("a:\n  b: [1, {c: 010}]", "a.b.1.c", 2, "010 is a number to YAML 1.1"),
        ("a:\n  no: 1", "a", 2, "no is true or false to YAML 1.1"),
        ("a: {b: 1,\n b: 2}", "a.b", 2, "the key 'b' is given twice, first at line 1"),
        ("a: *b", "a", 1, "undefined alias 'b'"),
        ("a: !!float 1", "a", 1, "is none that is read here"),
        ("a: 1\n--- \nb: 1", None, 2, "found another document"),
    ],
)
def test_what_is_refused_is_named(text: str, key: str | None, line: int, says: str) -> None:
    with pytest.raises(MalformedError) as error:
        parse_yaml(text)
    assert (error.value.key, error.value.line) == (key, line)
    assert says in error.value.problem


def test_a_contract_of_5_000_columns_is_read_in_less_time_than_pyyaml_takes() -> None:
    column = {"type": "number", "minimum": 0.5, "maximum": 100, "max_nulls": 0.1, "description": "a value"}
    content: dict[str, Any] = {"columns": {f"column_{number}": column | {} for number in range(5_000)}}
    text = yaml.dump(content, Dumper=yaml.CSafeDumper)
    begun = time.process_time()
    assert parse_yaml(text).content == content
    middle = time.process_time()
    assert yaml.load(text, yaml.CSafeLoader) == content
    assert middle - begun < time.process_time() - middle
