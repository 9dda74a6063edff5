"""Parsing of YAML that others wrote: bounded, and without the surprises of YAML 1.1.

libyaml's parser tells what it reads event by event; values are built from these here, in one pass and without
recursion. PyYAML's own loader recurses in C, where deep nesting ends the process, and lets aliases and merges multiply.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from modelway.components.core.parsing import MalformedError, check_size

if TYPE_CHECKING:
    from yaml import SafeLoader as _Loader
else:
    _Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where libyaml is there, ten times as fast

MOST_YAML_BYTES = 10_000_000  # a contract of 5,000 columns is a tenth of it
MOST_DIGITS = 40  # of a whole number; the greatest of 128 bits has 39
_DEEPEST = 100  # levels; ours have less than ten
_MOST_VALUES = 1_000_000  # with what aliases stand for; a contract of 5,000 columns has 80,000

_TEXT_TAGS = ("!", "tag:yaml.org,2002:str")
_WORDS = dict.fromkeys(("", "~", "null", "Null", "NULL")) | {
    form: value for word, value in (("true", True), ("false", False)) for form in (word, word.title(), word.upper())
}
_SWITCHES = {form for word in ("yes", "no", "on", "off") for form in (word, word.title(), word.upper())}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+][0-9]+)?|\.[0-9]+([eE][-+][0-9]+)?")
_NOT_FINITE = re.compile(r"([-+]?)\.(?:(inf|Inf|INF)|nan|NaN|NAN)")
# What is a number to YAML 1.1 though it does not look like it: to base 60, 2, 8 and 16, and with underscores.
_DISGUISED = re.compile(
    r"[-+]?([1-9][0-9_]*(:[0-5]?[0-9])+|[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*|0b[01_]+|0[0-7_]+|0x[0-9a-fA-F_]+"
    r"|[1-9][0-9_]*|[0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?)|\.[0-9][0-9_]*([eE][-+][0-9]+)?"
)
_MERGE = object()


@dataclass(frozen=True)
class YamlText:
    """What a YAML text says.

    Attributes:
        content: Mappings, lists, texts, whole numbers, floats, booleans and nulls; dates are texts.
        lines: By the id of each mapping and list in it, the line of each key or entry, counted from 1.
    """

    content: Any
    lines: dict[int, dict[Any, int]]

    def line_of(self, key: str) -> int | None:
        """The line that a key stands on; its parent's where it is not there itself, None where neither is.

        Args:
            key: Names and numbers of list entries with dots between; names may have dots in them.
        """
        line, rest, value = None, key, self.content
        while rest and isinstance(value, dict | list):
            lines = self.lines[id(value)]
            names = [name for name in lines if name is not _MERGE and f"{rest}.".startswith(f"{name}.")]
            if not names:
                break
            name = max(names, key=lambda name: len(str(name)))
            line, rest, value = lines[name], rest[len(str(name)) + 1 :], value[name]
        return line


def parse_yaml(text: str) -> YamlText:
    """What a YAML text says; empty: null.

    Plain words and numbers are read as YAML 1.1 and 1.2 both read them. What the two read otherwise is refused
    (``yes``, ``12:30``, ``010``, ``1_000``), and so are a key given twice and tags other than ``!!str``.

    Raises:
        MalformedError: it is no YAML, is refused, or is too big, too deep, or too much once its aliases are followed.
    """
    check_size(text, MOST_YAML_BYTES)
    builder = _Builder()
    try:
        for event in yaml.parse(text, _Loader):
            builder.add(event)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        raise MalformedError(getattr(error, "problem", None) or "it cannot be parsed", line=line) from error
    except UnicodeError as error:
        raise MalformedError("it holds half of a surrogate pair, which is no character") from error
    return YamlText(builder.root, builder.lines)


@dataclass
class _Open:
    """A mapping or list that is being read."""

    value: dict[Any, Any] | list[Any]
    anchor: str | None
    start: int  # how many values there were before it
    lines: dict[Any, int] = field(default_factory=dict)
    key: Any = None
    awaits_value: bool = False  # of a mapping: whether its key was read
    merged: list[dict[Any, Any]] = field(default_factory=list)

    @property
    def place(self) -> str:
        """The part of a dotted key that the value which is read now has here."""
        if isinstance(self.value, list):
            return str(len(self.value))
        return str(self.key) if self.awaits_value and self.key is not _MERGE else ""


class _Builder:
    """Builds values from the events of a parser."""

    def __init__(self) -> None:
        self.root: Any = None
        self.lines: dict[int, dict[Any, int]] = {}
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int] | None] = {}  # a value and its size; None: it is being read
        self._count = 0
        self._documents = 0

    def add(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1  # type: ignore[union-attr]
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, line)
            if event.anchor is not None:
                self._anchors[event.anchor] = (value, 1)
            self._store(value, 1, line=line)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end(line)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise self._refused(f"found undefined alias {event.anchor!r}", line)
            anchored = self._anchors[event.anchor]
            if anchored is None:
                raise self._refused(f"the alias {event.anchor!r} stands inside of what it stands for", line)
            value, size = anchored
            self._store(value, size, line=line)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise MalformedError("found another document", line=line, remedy="keep one document in the file")

    def _begin(self, event: yaml.CollectionStartEvent, line: int) -> None:
        if event.tag not in {None, "!"}:
            raise self._unknown_tag(event.tag, line)
        if len(self._open) >= _DEEPEST:
            raise self._refused(f"it is nested too deep: more than {_DEEPEST} levels", line)
        if self._open and isinstance(self._open[-1].value, list):
            self._open[-1].lines[len(self._open[-1].value)] = line
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._open.append(_Open({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor, self._count))

    def _end(self, line: int) -> None:
        closed = self._open.pop()
        if isinstance(closed.value, dict):
            for mapping in closed.merged:
                for key, value in mapping.items():
                    if key not in closed.value:
                        closed.value[key], closed.lines[key] = value, closed.lines[_MERGE]
        self.lines[id(closed.value)] = closed.lines
        if closed.anchor is not None:
            self._anchors[closed.anchor] = (closed.value, self._count - closed.start + 1)
        self._store(closed.value, 1, line=line)

    def _store(self, value: Any, size: int, *, line: int) -> None:
        """Puts a value where it belongs: `size` is how many values it is, with those in it that are not counted yet."""
        self._count += size
        if self._count > _MOST_VALUES:
            problem = f"it holds more than {_MOST_VALUES:,} values, with what its aliases stand for"
            raise MalformedError(problem, line=line)
        if not self._open:
            self.root = value
            return
        parent = self._open[-1]
        if isinstance(parent.value, list):
            parent.lines.setdefault(len(parent.value), line)
            parent.value.append(value)
        elif not parent.awaits_value:
            self._begin_entry(parent, value, line=line)
        elif parent.key is _MERGE:
            parent.merged += self._mappings(value, line)
            parent.awaits_value = False
        else:
            parent.value[parent.key] = value
            parent.awaits_value = False

    def _begin_entry(self, parent: _Open, key: Any, *, line: int) -> None:
        if not isinstance(key, Hashable):
            raise self._refused("a key is itself a mapping or a list", line, remedy="put a text in quotes")
        if key in parent.lines:
            name = "<<" if key is _MERGE else key
            problem = f"the key {name!r} is given twice, first at line {parent.lines[key]}"
            raise self._refused(problem, line, key=str(name), remedy="keep one of the two")
        parent.key, parent.lines[key], parent.awaits_value = key, line, True

    def _mappings(self, value: Any, line: int) -> list[dict[Any, Any]]:
        mappings = value if isinstance(value, list) else [value]
        if not all(isinstance(mapping, dict) for mapping in mappings):
            raise self._refused("`<<` takes a mapping or a list of them", line, remedy="name an anchored mapping")
        return mappings

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Any:
        text = event.value
        if event.tag is not None:
            if event.tag not in _TEXT_TAGS:
                raise self._unknown_tag(event.tag, line)
            return text
        if not event.implicit[0]:  # in quotes, or a block
            return text
        if text in _WORDS:
            return _WORDS[text]
        if text in _SWITCHES:
            remedy = f'write true or false, or "{text}" in quotes where a text is meant'
            raise self._refused(
                f"{text} is true or false to YAML 1.1, a text to YAML 1.2", line, value=text, remedy=remedy
            )
        if text == "<<":
            return _MERGE if self._open and self._is_key(self._open[-1]) else text
        return self._number(text, line) if text[0] in "+-.0123456789" else text

    def _number(self, text: str, line: int) -> int | float | str:
        if _INTEGER.fullmatch(text):
            if len(text) > MOST_DIGITS:
                problem = f"a whole number has {len(text)} digits, more than {MOST_DIGITS}"
                raise self._refused(problem, line, value=text[:MOST_DIGITS] + "…", remedy="write a smaller number")
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        if match := _NOT_FINITE.fullmatch(text):
            return float(f"{match[1]}{match[2] or 'nan'}")
        if _DISGUISED.fullmatch(text):
            raise self._refused(
                f"{text} is a number to YAML 1.1, in another base or with signs between its digits",
                line,
                value=text,
                remedy=f'write "{text}" in quotes where a text is meant, and a number in plain decimal digits',
            )
        return text

    @staticmethod
    def _is_key(parent: _Open) -> bool:
        return isinstance(parent.value, dict) and not parent.awaits_value

    def _unknown_tag(self, tag: str, line: int) -> MalformedError:
        return self._refused(f"the tag {tag} is none that is read here", line, remedy="take the tag out")

    def _refused(
        self, problem: str, line: int, *, key: str = "", value: str | None = None, remedy: str | None = None
    ) -> MalformedError:
        place = ".".join(filter(None, (*(parent.place for parent in self._open[:10]), key)))
        return MalformedError(problem, line=line, key=place or None, value=value, remedy=remedy)
