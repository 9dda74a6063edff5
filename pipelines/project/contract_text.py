"""The text of a proposed contract.yaml."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

import yaml

from modelway.pipelines.project.contract_trial import ContractTrial

YAML_STYLE: dict[str, Any] = {
    "sort_keys": False,
    "allow_unicode": True,
    "default_flow_style": None,
    "width": 110,
}
_HEAD = (
    "What the data must look like. Proposed from the data as it was: review every line.",
    "`seen` says from how many rows a line was proposed. A batch fails the line if it has certainly more bad rows than "
    "rows drawn like those would have, by chance in at most 1 % of all batches for all lines together; fewer warn. A "
    "line that you edit, or a column that is `strict: true`, is your word, and one bad row fails it.",
)


class _Dumper(yaml.CSafeDumper):
    """Writes a column's `seen` in one line."""


class _Seen(dict[str, Any]):
    pass


def _represent_seen(dumper: _Dumper, seen: _Seen) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", seen, flow_style=True)


_Dumper.add_representer(_Seen, _represent_seen)


def contract_head(trial: ContractTrial | None) -> str:
    """The comment at the head of the file: how to read it, and how often it blocked halves of the data."""
    paragraphs = [*_HEAD, *([f"Tried on halves: {trial}."] if trial is not None else [])]
    lines = [line for text in paragraphs for line in wrap(text, 108, break_long_words=False, break_on_hyphens=False)]
    return "".join(f"# {line}\n" for line in lines)


def contract_body(columns: dict[str, dict[str, Any]]) -> str:
    """The columns as YAML, each key in a line of its own, and what was seen in one."""
    entries = {
        name: {key: _Seen(value) if key == "seen" else value for key, value in column.items()}
        for name, column in columns.items()
    }
    return str(yaml.dump({"columns": entries}, Dumper=_Dumper, **YAML_STYLE))
