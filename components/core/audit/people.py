"""Who a person is, by the name that they give.

A name is a text such as ``Ada Lovelace <ada@example.org>``. The address in it says who it is, wherever it stands; one
without an address is compared by its letters and digits. Names that look alike are never two people: letters of other
scripts that look like Latin ones are compared as these (a part of the confusables of Unicode Technical Standard 39).
What a name must not hold, such as invisible characters, is in `name_problem`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from modelway.components.core.errors import ModelwayError

_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"@]+@[^\s<>()\[\],;:\"@]+")
_LOOKALIKES = str.maketrans(
    "АВЕКМНОРСТХУЅІЈԌԚԜаеорсухѕіјһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοινρυ",
    "ABEKMHOPCTXYSIJGQWaeopcyxsijhdqwABEZHIKMNOPTYXoivpu",
)
_CJK = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"}


@dataclass(frozen=True)
class Person:
    """A person.

    Attributes:
        address: The address in the name, without regard to case and without a ``+tag``; empty if there is none.
        names: The letters and digits of the name, and of an address's first part: what a name without address is
            compared with.
    """

    address: str
    names: frozenset[str]

    @classmethod
    def of(cls, name: str) -> Person:
        """The person that a name is of; for a name without letters and addresses, nobody: it has no `names`."""
        text = unicodedata.normalize("NFKC", name)
        match = _ADDRESS.search(text)
        if match is None:
            return cls("", frozenset({_skeleton(text)} - {""}))
        local, _, domain = match[0].partition("@")
        local = local.split("+", maxsplit=1)[0]
        around = text[: match.start()] + text[match.end() :]
        return cls(f"{local}@{domain}".casefold(), frozenset({_skeleton(around), _skeleton(local)} - {""}))

    def is_same(self, other: Person) -> bool:
        """Whether two names are of one person, as far as one can tell: by their addresses if both have one."""
        if self.address and other.address:
            return self.address == other.address
        return bool(self.names & other.names)


def count_people(names: list[str]) -> int:
    """How many people certainly stand behind names."""
    people: list[Person] = []
    for name in names:
        person = Person.of(name)
        if not any(person.is_same(other) for other in people):
            people.append(person)
    return len(people)


def name_problem(name: str) -> str:
    """Why a name cannot say who somebody is, a clause; empty if it can.

    It cannot with control, format or unassigned characters, with invisible letters and marks, with letters of several
    scripts in one word (after the "highly restrictive" level of Unicode Technical Standard 39), or with two addresses.
    """
    for character in name:
        if unicodedata.category(character).startswith("C") or _is_invisible(character):
            return f"it holds the invisible character U+{ord(character):04X}"
    text = unicodedata.normalize("NFKC", name)
    for word in text.split():
        scripts = sorted({_script(character) for character in word if unicodedata.category(character).startswith("L")})
        if len(scripts) > 1:
            return f"the letters of {word!r} are of several scripts: {' and '.join(scripts)}"
    addresses = {Person.of(address).address for address in _ADDRESS.findall(text)}
    if len(addresses) > 1:
        return f"it holds several addresses: {' and '.join(sorted(addresses))}"
    return "" if Person.of(name).names else "it holds no letter and no digit"


def check_name(name: str, key: str) -> str:
    """Returns a name without the spaces around it, if it can say who somebody is.

    Args:
        name: The name.
        key: The option or parameter that it was given by, for the error.

    Raises:
        ModelwayError: it cannot; says why.
    """
    if problem := name_problem(name):
        raise ModelwayError(
            f"{key} does not say who it is: {problem}",
            key=key,
            value=name.encode("ascii", "backslashreplace").decode(),
            remedy="give a name in one script, and an address, such as 'Ada Lovelace <ada@example.org>'",
        )
    return name.strip()


def _skeleton(text: str) -> str:
    """The letters and digits of a text, as they look: without case, accents and look-alikes of Latin letters."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_LOOKALIKES)).casefold().translate(_LOOKALIKES)
    return "".join(character for character in decomposed if character.isalnum())


def _script(letter: str) -> str:
    script = unicodedata.name(letter, "unknown").split()[0]
    return "CJK" if script in _CJK else script


def _is_invisible(character: str) -> bool:
    """Whether a letter or mark is not drawn: fillers, selectors of variants, and the joiner of graphemes."""
    code = ord(character)
    fillers = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
    return code in fillers or 0x180B <= code <= 0x180F or 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF
