"""The text of contract.yaml once a person accepted what a batch showed; what is not widened stays as it was written."""

from __future__ import annotations

import datetime as dt
from typing import Any

from modelway.components.core.config.contract import Column, Contract
from modelway.components.core.config.contract_changes import Change
from modelway.components.core.errors import ModelwayError
from modelway.pipelines.project.contract_difference import ContractDifference
from modelway.pipelines.project.yaml_edit import YamlEdit

_EVIDENCE = ("rows", "unparsed", "nulls", "minimum", "maximum")


def accepted_text(text: str, difference: ContractDifference, *, change: Change, name: str) -> str:
    """The contract's text with the lines that a batch widens, their evidence, and who accepted that.

    Args:
        text: The contract as it is written.
        difference: What the batch would change.
        change: Who accepts it, and why.
        name: The file's name, for errors.

    Raises:
        ModelwayError: the file writes a column in a way that cannot be edited alone, such as a YAML alias.
    """
    contract, edit = Contract.parse(text, name), YamlEdit(text)
    for column_name, widened in difference.columns.items():
        _edit_column(edit, column_name, before=contract.columns[column_name], after=widened)
    edit.append_section("changes", change.model_dump(mode="json"))
    changes = {
        "columns": {**contract.columns, **difference.columns},
        "changes": (*contract.changes, change),
    }
    accepted = edit.text()
    if not _says(accepted, contract.model_copy(update=changes)):
        raise ModelwayError(
            f"{name} cannot be edited: a line that would change is shared by several columns, by a YAML alias",
            file=name,
            key="columns",
            remedy="write each column out in full, without `&`, `*` and `<<`, then accept again",
        )
    return accepted


def _edit_column(edit: YamlEdit, name: str, *, before: Column, after: Column) -> None:
    """Writes what differs, each value where it stands."""
    path = ("columns", name)
    if after.max_nulls != before.max_nulls:
        edit.set((*path, "max_nulls"), after.max_nulls, after="type")
    for line in ("minimum", "maximum"):
        if getattr(after, line) != getattr(before, line):
            edit.set((*path, line), _plain(getattr(after, line)))
    new = (after.categories or ())[len(before.categories or ()) :]
    edit.append((*path, "categories"), new) if new else None
    if after.seen is None or before.seen is None:
        return
    for key in _EVIDENCE:
        if getattr(after.seen, key) != getattr(before.seen, key):
            edit.set((*path, "seen", key), _plain(getattr(after.seen, key)))
    for category, rows in (after.seen.categories or {}).items():
        if (before.seen.categories or {}).get(category) != rows:
            edit.set((*path, "seen", "categories", category), rows)


def _plain(value: Any) -> Any:
    """A value as YAML writes it that is read here, where dates are texts."""
    return value.isoformat() if isinstance(value, dt.date) else value


def _says(text: str, contract: Contract) -> bool:
    """Whether a text is of a contract; one that is none is not."""
    try:
        return Contract.parse(text).canonical() == Contract.parse(contract.canonical()).canonical()
    except ModelwayError:
        return False
