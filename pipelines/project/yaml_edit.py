"""Edits of a YAML file that a person wrote: what is not changed stays as it stands, comments and order too."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from yaml import SafeLoader as _Loader
else:
    _Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Path = tuple[str, ...]
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


class YamlEdit:
    """Changes to the text of a YAML document, which are made together.

    Args:
        text: A document that `parse_yaml` reads, whose root is a mapping.
    """

    def __init__(self, text: str) -> None:
        self._head = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
        self._text = text.removeprefix(self._head)
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._root: Any = yaml.compose(self._text, _Loader)
        self._replacements: list[tuple[int, int, str]] = []

    def set(self, path: Path, value: Any, *, after: str | None = None) -> None:
        """Sets the value at a path of keys; what is not there yet is added to the mapping that it belongs in.

        Args:
            path: The keys. All but the last are there.
            value: A number, text, boolean, list or mapping.
            after: The key that a new one stands behind; None: the last.
        """
        mapping = self._node(path[:-1])
        for key, node in mapping.value:
            if key.value == path[-1]:
                self._replacements.append((node.start_mark.index, node.end_mark.index, _flow(value)))
                return
        entries = [pair for pair in mapping.value if pair[0].value == after] or mapping.value
        self._add(mapping, entries[-1] if entries else None, f"{_flow(path[-1])}: {_flow(value)}", mark="")

    def append(self, path: Path, values: Sequence[Any]) -> None:
        """Appends values to the list at a path."""
        items = self._node(path)
        for value in values:
            self._add(items, (items.value[-1], items.value[-1]) if items.value else None, _flow(value), mark="- ")

    def append_section(self, key: str, section: Mapping[str, Any]) -> None:
        """Appends a mapping, a line for each of its keys, to a list at the document's top, which may not be there yet.

        In a document in flow style, as JSON is, it is one line.
        """
        root, is_new = self._root, key not in [name.value for name, _ in self._root.value]
        if root.flow_style or (not is_new and self._node((key,)).flow_style):
            if is_new:
                self.set((key,), [dict(section)])
            else:
                self.append((key,), [dict(section)])
            return
        items = root if is_new else self._node((key,))
        indent = " " * (0 if is_new else items.start_mark.column)
        lines = f"{self._newline}{indent}  ".join(f"{name}: {_flow(value)}" for name, value in section.items())
        head = f"{key}:{self._newline}- " if is_new else "- "
        last = root.value[-1][1] if is_new else items.value[-1]
        self._insert_line(last, indent + head + lines)

    def text(self) -> str:
        """The text with all changes."""
        text = self._text
        for start, end, replacement in sorted(self._replacements, key=lambda change: change[0], reverse=True):
            text = text[:start] + replacement + text[end:]
        return self._head + text

    def _node(self, path: Path) -> Any:
        node: Any = self._root
        for name in path:
            node = next(value for key, value in node.value if key.value == name)
        return node

    def _add(self, parent: Any, before: Any, entry: str, *, mark: str) -> None:
        """Adds an entry behind another one of a mapping or list; None: it is the first."""
        if not parent.flow_style and before is not None:
            first = before[0] if isinstance(parent, yaml.MappingNode) else parent
            self._insert_line(before[1], " " * first.start_mark.column + mark + entry)
            return
        place = parent.start_mark.index + 1 if before is None else before[1].end_mark.index
        self._insert(place, entry if before is None else f", {entry}")

    def _insert_line(self, node: Any, line: str) -> None:
        """Inserts a line behind the one that a node ends on, with what else stands there, such as a comment."""
        place = _end(node)
        if self._text[place - 1 : place] != "\n":  # not a block of text, which ends where the next line begins
            end = self._text.find("\n", place)
            place = len(self._text) if end < 0 else end + 1
        if place and self._text[place - 1] != "\n":
            self._insert(place, self._newline + line)
        else:
            self._insert(place, line + self._newline)

    def _insert(self, place: int, text: str) -> None:
        """Inserts a text behind those that were inserted at the same place."""
        for index, (start, end, replacement) in enumerate(self._replacements):
            if start == end == place:
                self._replacements[index] = (place, place, replacement + text)
                return
        self._replacements.append((place, place, text))


def _end(node: Any) -> int:
    """Where the last value in a node ends; a mapping in block style itself ends where the next token begins."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return int(node.end_mark.index)


def _flow(value: Any) -> str:
    """A value on one line."""
    text = yaml.safe_dump([value], default_flow_style=True, sort_keys=False, allow_unicode=True, width=sys.maxsize)
    return text.strip()[1:-1] if "\n" not in text.strip() else json.dumps(value, ensure_ascii=False)
