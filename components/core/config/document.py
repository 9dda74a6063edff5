"""Reading the three files a user owns: YAML or JSON in, validated models out, errors that name file and key."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo

from modelway.components.core.errors import DamagedError, ModelwayError
from modelway.components.core.parsing import MalformedError, parse_json
from modelway.components.core.storage.uri import is_uri, read_uri
from modelway.components.core.storage.yaml_text import MOST_DIGITS, MOST_YAML_BYTES, YamlText, parse_yaml


class ValueAtKeyError(ValueError):
    """What a validator of a section has against a value below it.

    Attributes:
        key: The parts of the value's key, from the section on.
        value: The value.
    """

    def __init__(self, problem: str, *, key: tuple[str | int, ...], value: object) -> None:
        super().__init__(problem)
        self.key, self.value = key, value


class Section(BaseModel):
    """A part of a document: unknown keys are errors, numbers are finite, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_switch_for_a_number(cls, values: Any) -> Any:
        """Refuses true for 1 and false for 0, as which pydantic would take them."""
        items = values.items() if isinstance(values, dict) else ()
        for name in [name for name, value in items if isinstance(value, bool) and name in cls.model_fields]:
            kinds = _kinds(cls.model_fields[name].annotation)
            if kinds & {int, float} and bool not in kinds:
                raise ValueAtKeyError("write a number, not true or false", key=(name,), value=values[name])
        return values


def _kinds(annotation: Any) -> set[Any]:
    """The kinds of values that a field takes."""
    return set(get_args(annotation)) or {annotation}


class Document(Section):
    """A whole file. Subclasses say what they are called in errors, and which of their keys are settings."""

    title: ClassVar[str]
    settings: ClassVar[frozenset[str]] = frozenset()  # these keys affect where and how a run goes, not its results

    @classmethod
    def load(cls, source: str | Path) -> Self:
        """Reads a document from a file, an ``s3://`` URI, or the text itself.

        Raises:
            NotFoundError: the file is missing.
            DamagedError: it is not UTF-8, is not YAML, is too big, or breaks the schema; names the file and the key.
        """
        text = str(source)
        if isinstance(source, Path) or is_reference(text):
            return cls.parse(read_uri(text, most_bytes=MOST_YAML_BYTES), text)
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
            raw = _parse(text)
        except MalformedError as error:
            place = "" if error.line is None else f" at line {error.line}"
            raise DamagedError(
                f"{name} cannot be read{place}: {error.problem}",
                file=name,
                line=error.line,
                key=error.key,
                value=error.value,
                remedy=error.remedy or "correct the YAML at that line",
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
            raise _schema_error(error, cls, raw=raw, text=text, name=name) from error

    @classmethod
    def remedy(cls, field: FieldInfo | None) -> str:
        """What to do about a key that breaks the schema; `field` is what the schema has there, if anything."""
        del field
        return f"correct it; `modelway schema {cls.title.split(maxsplit=1)[0]}` prints what may stand there"

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
    if not key or "\n" not in text.strip():
        return None
    yaml_text = _yaml(text)
    return None if yaml_text is None else yaml_text.line_of(key)


def _yaml(text: str) -> YamlText | None:
    try:
        return parse_yaml(text)
    except MalformedError:
        return None


def locate(error: ModelwayError) -> ModelwayError:
    """Gives an error about a key of a YAML file on this machine the key's line, if it has none yet."""
    if error.line is None and error.key and error.file and error.file.endswith((".yaml", ".yml")):
        with suppress(OSError, UnicodeDecodeError):
            error.line = line_of(Path(error.file).read_text(encoding="utf-8"), error.key)
    return error


def _parse(text: str) -> Any:
    """YAML, or JSON as `canonical` writes it, whose numbers YAML would not all read as such (1e-09, Infinity)."""
    if text.startswith("{"):
        with suppress(ValueError):  # not JSON, too deep, or a key twice, which the YAML parser has words for
            parse_json(text)
            return json.loads(text, object_pairs_hook=_unique, parse_int=_integer)
    return parse_yaml(text).content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a key is given twice")
    return mapping


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError("a number has too many digits")
    return int(digits)


def _decode(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedError(f"{name} is not UTF-8 text", file=name, remedy="save the file as UTF-8") from error


def _schema_error(error: ValidationError, schema: type[Document], *, raw: Any, text: str, name: str) -> DamagedError:
    """One error for all problems that pydantic found, located at the first."""
    problems: dict[str, list[Any]] = {}
    entries: dict[int, dict[str, Any]] = {}
    for problem in map(_at_its_key, error.errors(include_url=False)):
        problems.setdefault(_dotted(problem, raw, entries=entries), []).append(problem)
    # Of a union, what is wrong inside the member that fits best.
    in_order = sorted(problems)
    keys = [key for key in problems if not _has_longer(key, in_order)]
    yaml_text = _yaml(text) if "\n" in text.strip() else None
    numbers = {key: yaml_text.line_of(key) if yaml_text is not None else None for key in islice(keys, 10)}
    lines = []
    for key, number in numbers.items():
        sentence = ", or ".join(dict.fromkeys(map(_sentence, problems[key])))
        line = f"{key}: {sentence}" if key else sentence
        lines.append(f"{line} (line {number})" if len(keys) > 1 and number is not None else line)
    count = f"{len(keys)} problems in" if len(keys) > 1 else "a problem in"
    listing = "\n  ".join(lines) + (f"\n  and {len(keys) - 10} more" if len(keys) > 10 else "")
    first = problems[keys[0]][0]
    value = first.get("input")
    shows_value = isinstance(value, str | int | float | bool) and first["type"] not in {"extra_forbidden", "missing"}
    return DamagedError(
        f"{count} {name}:\n  {listing}\n ",
        file=name,
        line=numbers[keys[0]],
        key=keys[0] or None,
        value=value if shows_value else None,
        remedy=schema.remedy(_field(schema, first["loc"])),
    )


def _at_its_key(problem: Any) -> dict[str, Any]:
    """A problem as pydantic describes it, at the key that a section's validator named."""
    reason = problem.get("ctx", {}).get("error")
    if not isinstance(reason, ValueAtKeyError):
        return dict(problem)
    return {**problem, "loc": (*problem["loc"], *reason.key), "input": reason.value}


def _has_longer(key: str, in_order: list[str]) -> bool:
    """Whether some key stands below another one; the keys are in order."""
    place = bisect_left(in_order, f"{key}.")
    return place < len(in_order) and in_order[place].startswith(f"{key}.")


def _field(schema: type[BaseModel], location: tuple[int | str, ...]) -> FieldInfo | None:
    """What a schema has at a place; None where that is no key of it."""
    section: type[BaseModel] | None = schema
    field = None
    for part in location:
        if section is not None and part in section.model_fields:
            field = section.model_fields[str(part)]
            section = _section(field.annotation)
    return field


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, or holds several of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((section for part in get_args(annotation) if (section := _section(part)) is not None), None)


def _dotted(problem: Any, raw: Any, *, entries: dict[int, dict[str, Any]]) -> str:
    """Where in the file a problem is, without what pydantic adds of its own: the member of a union that was tried.

    `entries` remembers the entries of the mappings and lists that were passed, by their names as text.
    """
    parts = []
    for part in map(str, problem["loc"]):
        if id(raw) not in entries:
            pairs = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
            entries[id(raw)] = {str(key): value for key, value in pairs}
        inside = entries[id(raw)]
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
