from __future__ import annotations

import pytest

from modelway.components.core.audit.people import Person, check_name, count_people, name_problem
from modelway.components.core.errors import ModelwayError


@pytest.mark.parametrize(
    ("name", "other_name", "is_same"),
    [
        ("Ada", "ada ", True),
        ("ada@example.org", "Ada Lovelace <ADA@example.org>", True),
        ("ada@example.org", "ada@example.org (Ada, away)", True),
        ("ada+1@example.org", "Ada ada+two@example.org", True),
        ("Ada Lovelace", "A. Lovelace <ada.lovelace@example.org>", True),
        ("Ada Lovelace", "Ada Lovelace <al@example.org>", True),
        ("John Smith <john@example.org>", "John Smith <smith@example.org>", False),
        ("\uff21\uff24\uff21", "ada", True),
        ("Straße", "STRASSE", True),
        ("José", "Jose", True),
        ("\u0421\u0410\u0421", "CAC", True),  # Cyrillic letters that look like these
        ("Ad\u00ada", "ada", True),
        ("ada", "adam", False),
        ("ada@example.org", "ada@example.com", False),
        ("ada", "bob@example.org", False),
    ],
)
def test_who_is_the_same_person(name: str, other_name: str, is_same: bool) -> None:
    person, other = Person.of(name), Person.of(other_name)
    assert person.is_same(other) is other.is_same(person) is is_same


def test_people_are_counted_by_who_they_certainly_are() -> None:
    assert count_people([]) == 0
    assert count_people(["Ada <ada@example.org>", "ADA", "ada@example.org", "Bob"]) == 2


@pytest.mark.parametrize(
    "name", ["Ada", "Ada Lovelace <ada@example.org>", "Ада Иванова", "田中たろう <t@example.org>", "r2d2"]
)
def test_a_name_that_says_who_it_is(name: str) -> None:
    assert name_problem(name) == ""
    assert check_name(f" {name} ", "by") == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a\u200bda", "the invisible character U+200B"),
        ("ada\u202e", "the invisible character U+202E"),
        ("ada\x1b[8m", "the invisible character U+001B"),
        ("a\u034fda", "the invisible character U+034F"),
        ("ada\ufe0f", "the invisible character U+FE0F"),
        ("ada\u3164", "the invisible character U+3164"),
        ("ada\U000e0041", "the invisible character U+E0041"),
        ("\u0430da", "of several scripts: CYRILLIC and LATIN"),
        ("Ada <\u0430\u0434\u0430@example.org>", "of several scripts: CYRILLIC and LATIN"),
        ("ada@example.org bob@example.org", "several addresses: ada@example.org and bob@example.org"),
        ("<>", "no letter and no digit"),
        (" ", "no letter and no digit"),
    ],
)
def test_a_name_that_does_not(name: str, problem: str) -> None:
    assert problem in name_problem(name)
    with pytest.raises(ModelwayError) as error:
        check_name(name, "by")
    assert (error.value.key, error.value.value.isascii()) == ("by", True)
