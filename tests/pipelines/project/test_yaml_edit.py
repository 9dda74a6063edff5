"""Edits of a person's YAML leave all else as it was written."""

from __future__ import annotations

import difflib
from collections.abc import Callable

import pytest

from modelway.components.core.storage.yaml_text import parse_yaml
from modelway.pipelines.project.yaml_edit import YamlEdit

TEXT = """\
# What the data must look like. 🎉
columns:
  größe: {type: number, minimum: 18, seen: {rows: 500, minimum: 18}}  # in cm
  city:
    type: string   # text

    categories:
    - Köln   # on the Rhine
    - "Ulm"
    # no more
    seen:
      rows: 500
      categories: {Köln: 3,
        Ulm: 4}  # as of May
rules:
- name: grown
  rule: |
    größe > 1

# the end
"""


def as_crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def without_last_newline(text: str) -> str:
    return text.removesuffix("\n\n# the end\n")


def with_byte_order_mark(text: str) -> str:
    return f"\N{ZERO WIDTH NO-BREAK SPACE}{text}"


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    lines = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    return tuple([line[2:] for line in lines if line[0] == sign] for sign in "-+")  # type: ignore[return-value]


@pytest.mark.parametrize("form", [str, as_crlf, without_last_newline, with_byte_order_mark])
def test_only_what_is_changed_changes(form: Callable[[str], str]) -> None:
    text = form(TEXT)
    edit = YamlEdit(text)
    edit.set(("columns", "größe", "minimum"), 12.5)
    edit.set(("columns", "größe", "max_nulls"), 0.25, after="type")
    edit.set(("columns", "größe", "seen", "rows"), 700)
    edit.set(("columns", "größe", "seen", "nulls"), 5)
    edit.set(("columns", "city", "max_nulls"), 1e-9, after="type")
    edit.append(("columns", "city", "categories"), ["Bonn", "yes"])
    edit.set(("columns", "city", "seen", "categories", "Köln"), 9)
    for category in ("Bonn", "yes", "12:30", "a\nb"):
        edit.set(("columns", "city", "seen", "categories", category), 1)
    edit.set(("columns", "city", "seen", "nulls"), 7)
    after = edit.text()
    removed, added = changed_lines(text, after)
    assert removed == [
        "  größe: {type: number, minimum: 18, seen: {rows: 500, minimum: 18}}  # in cm",
        "      categories: {Köln: 3,",
        "        Ulm: 4}  # as of May",
    ]
    assert added == [
        "  größe: {type: number, max_nulls: 0.25, minimum: 12.5, seen: {rows: 700, minimum: 18, nulls: 5}}  # in cm",
        "    max_nulls: 1.0e-09",
        "    - Bonn",
        "    - 'yes'",
        "      categories: {Köln: 9,",
        """        Ulm: 4, Bonn: 1, 'yes': 1, '12:30': 1, "a\\nb": 1}  # as of May""",
        "      nulls: 7",
    ]
    assert ("\r\n" in after) is ("\r\n" in text)
    assert after.count("\r\n") in {0, after.count("\n")}
    city = parse_yaml(after.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")).content["columns"]["city"]
    assert city["categories"] == ["Köln", "Ulm", "Bonn", "yes"]
    assert city["seen"]["categories"] == {"Köln": 9, "Ulm": 4, "Bonn": 1, "yes": 1, "12:30": 1, "a\nb": 1}


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("columns: {}\n", "columns: {}\nchanges:\n- by: ada\n  why: 'a: b'\n- by: bob\n"),
        ("columns: {}", "columns: {}\nchanges:\n- by: ada\n  why: 'a: b'\n- by: bob"),
        ("changes: [] # none\n", "changes: [{by: ada, why: 'a: b'}, {by: bob}] # none\n"),
        (
            "changes:\n  - by: cyd # x\nb: 1\n",
            "changes:\n  - by: cyd # x\n  - by: ada\n    why: 'a: b'\n  - by: bob\nb: 1\n",
        ),
        ("{columns: {}}", "{columns: {}, changes: [{by: ada, why: 'a: b'}, {by: bob}]}"),
        (
            "changes:\n- note: |\n    long\n\n# end\n",
            "changes:\n- note: |\n    long\n\n- by: ada\n  why: 'a: b'\n- by: bob\n# end\n",
        ),
    ],
)
def test_a_section_is_appended_in_the_style_that_is_there(head: str, expected: str) -> None:
    text = head
    for section in ({"by": "ada", "why": "a: b"}, {"by": "bob"}):
        edit = YamlEdit(text)
        edit.append_section("changes", section)
        text = edit.text()
    assert text == expected
    assert parse_yaml(text).content["changes"][-1] == {"by": "bob"}


def test_an_empty_mapping_and_list_take_a_first_entry() -> None:
    edit = YamlEdit("a: {}  # none\nb: []\n")
    edit.set(("a", "x"), 1)
    edit.append(("b",), [True])
    assert edit.text() == "a: {x: 1}  # none\nb: [true]\n"
