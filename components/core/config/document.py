"""Reading the three files a user owns: YAML or JSON in, validated models out, errors that name file and key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from modelway.components.core.errors import DamagedError, ModelwayError
from modelway.components.core.storage.uri import is_uri, read_uri

if TYPE_CHECKING:
    from yaml import SafeLoader as _SafeLoader
else:
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where libyaml is there, ten times as fast

_DEEPEST = 100  # levels of a document; ours have less than ten


class Section(BaseModel):
    """A part of a document: unknown keys are errors, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Document(Section):
    """A whole file. Subclasses say what they are called in errors, and which of their keys are settings."""

    title: ClassVar[str]
    settings: ClassVar[frozenset[str]] = frozenset()  # these keys affect where and how a run goes, not its results

    @classmethod
    def load(cls, source: str | Path) -> Self:
        """Reads a document from a file, an ``s3://`` URI, or the text itself.

        Raises:
            NotFoundError: the file is missing.
            DamagedError: it is not UTF-8, is not YAML, or breaks the schema; names the file and the key.
        """
        text = str(source)
        if isinstance(source, Path) or is_reference(text):
            return cls.parse(read_uri(text), text)
        return cls.parse(text)

    @classmethod
    def parse(cls, content: str | bytes, name: str | None = None) -> Self:
        """Validates a document's text; `name` stands for it in errors, its title unless given.

        Raises:
            DamagedError: it is not UTF-8, is not YAML, or breaks the schema; names the file and the key.
        """
        name = name or cls.title
        text = content if isinstance(content, str) else _decode(content, name)
        try:
            raw = _parse_yaml(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = None if mark is None else mark.line + 1
            place = "" if line is None else f" at line {line}"
            problem = f"{name} is not valid YAML{place}: {getattr(error, 'problem', None) or 'it cannot be parsed'}"
            raise DamagedError(problem, file=name, line=line, remedy="correct the YAML at that line") from error
        except ValueError as error:  # such as an impossible date, which the loader does not catch
            raise DamagedError(
                f"{name} holds a value that cannot be read: {error}", file=name, remedy="correct the value"
            ) from error
        if not isinstance(raw, dict):
            raise DamagedError(
                f"{name} is not a mapping of keys",
                file=name,
                remedy=f"write the {cls.title}'s keys at the top level; `modelway init` proposes one",
            )
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise _schema_error(error, raw, text=text, name=name, title=cls.title) from error

    def canonical(self) -> str:
        """The document as one line of JSON with sorted keys; equal documents give equal text.

        A null stands where it says something: where leaving the key out would mean another value. The document's
        settings are left out, so that changing them neither runs a stage again nor changes what evidence binds.
        """
        content = self.model_dump(mode="json", exclude=set(self.settings))
        return json.dumps(_without_empty(self, content), sort_keys=True)

    def sha256(self) -> str:
        """The hash of the canonical text: what evidence binds a release to."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()


def _without_empty(value: object, dumped: Any) -> Any:
    """What was dumped of a section, or of a mapping or list of sections, without the keys that are null by default."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        parts = {name: getattr(value, name) for name in dumped}
        names = [name for name in dumped if parts[name] is not None or fields[name].default is not None]
        return {name: _without_empty(parts[name], dumped[name]) for name in names}
    if isinstance(value, dict):
        return {key: _without_empty(part, dumped[key]) for key, part in value.items()}
    if isinstance(value, tuple):
        return [_without_empty(part, item) for part, item in zip(value, dumped, strict=True)]
    return dumped


def is_reference(source: str) -> bool:
    """Whether a string names a document rather than being one: a URI, or a single line ending like a file."""
    return is_uri(source) or ("\n" not in source and "{" not in source and source.endswith((".yaml", ".yml", ".json")))


def line_of(text: str, key: str) -> int | None:
    """The line that a key stands on in a document's text, counted from 1; its parent's where it is not there itself.

    Args:
        text: YAML, or JSON. Of JSON on one line, as `canonical` writes it, no line is told.
        key: The key's place: names and numbers of list entries with dots between; names may have dots in them.

    Returns:
        The line; None where neither the key nor a parent is there, or the text is no YAML.
    """
    try:
        node = yaml.compose(text, _SafeLoader) if key and "\n" in text.strip() else None
    except yaml.YAMLError:
        return None
    line, rest = None, key
    while rest and node is not None:
        name, entry, node = _entry(node, rest)
        if entry is not None:
            line, rest = entry.start_mark.line + 1, rest[len(name) + 1 :]
    return line


def _entry(node: yaml.Node, key: str) -> tuple[str, yaml.Node | None, yaml.Node | None]:
    """What a dotted key leads to from a node: the part of the key that is used up, where it stands, and its value."""
    if isinstance(node, yaml.MappingNode):
        pairs = [(str(name.value), name, value) for name, value in node.value if isinstance(name, yaml.ScalarNode)]
    elif isinstance(node, yaml.SequenceNode):
        pairs = [(str(number), value, value) for number, value in enumerate(node.value)]
    else:
        pairs = []
    matching = [pair for pair in pairs if key == pair[0] or key.startswith(f"{pair[0]}.")]
    return max(matching, key=lambda pair: len(pair[0]), default=("", None, None))


def locate(error: ModelwayError) -> ModelwayError:
    """Gives an error about a key of a YAML file on this machine the key's line, if it has none yet."""
    if error.line is None and error.key and error.file and error.file.endswith((".yaml", ".yml")):
        with suppress(OSError, UnicodeDecodeError):
            error.line = line_of(Path(error.file).read_text(encoding="utf-8"), error.key)
    return error


def _parse_yaml(text: str) -> Any:
    """YAML, or JSON as `canonical` writes it, whose numbers YAML would not all read as such (1e-09, Infinity)."""
    if text.startswith("{"):
        try:
            return json.loads(text, object_pairs_hook=_unique)
        except (ValueError, RecursionError):  # not JSON, or a key twice, which the YAML loader has words for
            pass
    _check_depth(text)
    return yaml.load(text, _UniqueKeys)  # noqa: S506 - a SafeLoader


def _check_depth(text: str) -> None:
    """Refuses what is nested so deep that the loader, which recurses in C, would end the process."""
    depth = 0
    for event in yaml.parse(text, _SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            mark = event.start_mark
            raise yaml.composer.ComposerError(problem="it is nested too deep", problem_mark=mark)  # type: ignore[arg-type]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a key is given twice")
    return mapping


def _decode(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedError(f"{name} is not UTF-8 text", file=name, remedy="save the file as UTF-8") from error


def _schema_error(error: ValidationError, raw: dict[str, Any], *, text: str, name: str, title: str) -> DamagedError:
    """One error for all problems that pydantic found, located at the first."""
    problems: dict[str, list[Any]] = {}
    for problem in error.errors(include_url=False):
        problems.setdefault(_dotted(problem, raw), []).append(problem)
    # Of a union, what is wrong inside the member that fits best.
    keys = [key for key in problems if not any(key_.startswith(f"{key}.") for key_ in problems)]
    sentences = {key: ", or ".join(dict.fromkeys(map(_sentence, problems[key]))) for key in keys}
    lines = [f"{key}: {sentence}" if key else sentence for key, sentence in sentences.items()]
    numbers = [line_of(text, key) for key in keys[:10]]
    if len(lines) > 1:
        numbered_lines = zip(lines, numbers, strict=False)
        lines[:10] = [line if number is None else f"{line} (line {number})" for line, number in numbered_lines]
    count = f"{len(lines)} problems in" if len(lines) > 1 else "a problem in"
    listing = "\n  ".join(lines[:10]) + (f"\n  and {len(lines) - 10} more" if len(lines) > 10 else "")
    value = problems[keys[0]][0].get("input")
    return DamagedError(
        f"{count} {name}:\n  {listing}\n ",
        file=name,
        line=numbers[0],
        key=keys[0] or None,
        value=value if isinstance(value, str | int | float | bool) else None,
        remedy=f"correct it; `modelway schema {title.split(maxsplit=1)[0]}` prints what may stand there",
    )


def _dotted(problem: Any, raw: Any) -> str:
    """Where in the file a problem is, without what pydantic adds of its own: the member of a union that was tried."""
    parts = []
    for part in map(str, problem["loc"]):
        entries = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
        inside = {str(key): value for key, value in entries}
        if part in inside or problem["type"] == "missing":
            parts.append(part)
            raw = inside.get(part, raw)
    return ".".join(parts)


def _sentence(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "no such key"
    if problem["type"] == "missing":
        return "this key is required"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return message[0].lower() + message[1:]


class _UniqueKeys(_SafeLoader):
    """A safe loader that refuses a key given twice: YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    problem="a key is itself a mapping or a list", problem_mark=key_node.start_mark
                )
            if key in keys:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key!r} is given twice", problem_mark=key_node.start_mark
                )
            keys.add(key)
        return super().construct_mapping(node, deep)
