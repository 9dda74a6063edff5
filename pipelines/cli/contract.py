"""`modelway contract`: what a batch would widen in the contract, and accepting it."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelway.components.core.checks import Verdict
from modelway.components.core.errors import ModelwayError
from modelway.pipelines.cli.options import Folder, project_folder
from modelway.pipelines.cli.output import Answer, Console, escape, print_line
from modelway.pipelines.project.workspace import Workspace

if TYPE_CHECKING:
    from modelway.pipelines.project.column_difference import LineDifference
    from modelway.pipelines.project.contract_difference import ContractDifference

app = typer.Typer(help="The data contract: what a batch would widen in it, and accepting that.", no_args_is_help=True)

_MARKS = {
    Verdict.PASSED: "[dim]·[/dim]",
    Verdict.INCONCLUSIVE: "[yellow]![/yellow]",
    Verdict.FAILED: "[red]✗[/red]",
}
_WORDS = {
    "type": "do not parse",
    "nulls": "missing",
    "minimum": "below",
    "maximum": "above",
    "categories": "in other categories",
}
_MOST_VALUES = 5  # of new categories, in a line for people


@app.callback()
def _group() -> None:
    """Makes `diff` a command of its own although it is the only one."""


@app.command()
def diff(
    data: Annotated[str, typer.Option(help="The batch: a CSV or Parquet file, a folder of them, or an s3:// URI.")],
    project: Folder = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Write what the batch widens into contract.yaml; needs author and reason.")
    ] = False,
    author: Annotated[str, typer.Option(help="Who accepts it; the contract keeps it.")] = "",
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why; the contract keeps it.")] = "",
) -> Answer:
    """Shows line by line what a batch would widen in the contract, and with --accept writes it.

    Exits with 0 if the contract holds the batch, or does once it is accepted; 1 if a line is to be accepted, or edited
    by hand; 2 on an error.
    """
    if accept:
        author, reason = _checked_author(author), _checked_reason(reason)
    folder = project_folder(project)
    file = folder / "contract.yaml"
    content = file.read_bytes() if file.is_file() else b""
    workspace = Workspace.load(folder, data)
    difference = _difference(workspace)
    written = accept and bool(difference.acceptable)
    if written:
        write_accepted(
            file, content, difference=difference, data=shown_source(data, folder), author=author, reason=reason
        )
    remaining = difference.by_hand if accept else (*difference.acceptable, *difference.by_hand)
    return Answer(
        _as_json(difference, file, accepted=written),
        lambda: _print(difference, file, accepted=written),
        1 if remaining else 0,
    )


def _checked_author(author: str) -> str:
    from modelway.components.core.audit.people import check_name

    if not author.strip():
        raise ModelwayError(
            "accepting a batch needs an author", key="author", remedy="say who accepts it: --author ada@example.org"
        )
    return check_name(author, "author")


def _checked_reason(reason: str) -> str:
    if not reason.strip():
        raise ModelwayError(
            "accepting a batch needs a reason", key="reason", remedy='say why: --reason "the south joined in May"'
        )
    return " ".join(reason.split())


def _difference(workspace: Workspace) -> ContractDifference:
    from modelway.components.core.storage.uri import fetch
    from modelway.components.ingest.source import read_source
    from modelway.pipelines.project.contract_difference import as_written, contract_difference

    data, contract = workspace.project.data, workspace.contract
    with TemporaryDirectory() as work:
        try:
            table = read_source(fetch(data.source, Path(work)), data, contract=as_written(contract), work=Path(work))
        except ModelwayError as error:
            error.key = "data" if error.key == "data.source" else error.key
            raise
    return contract_difference(table, contract, project=workspace.project)


def write_accepted(
    file: Path, content: bytes, *, difference: ContractDifference, data: str, author: str, reason: str
) -> None:
    """Writes what a batch widens into the contract.

    Args:
        file: The contract's file.
        content: What the batch was compared with.
        difference: What the batch would change.
        data: What the contract calls the batch.
        author: Who accepts it.
        reason: Why.

    Raises:
        ModelwayError: the file is not what the batch was compared with any more, or cannot be edited.
    """
    import datetime as dt

    from modelway.components.core.config.contract_changes import Change
    from modelway.components.core.storage.uri import read_uri, write_uri
    from modelway.pipelines.project.contract_acceptance import accepted_text

    change = Change(
        date=dt.datetime.now(dt.UTC).date(),
        author=author,
        reason=reason,
        data=data,
        rows=difference.rows,
        lines=tuple(line.name for line in difference.acceptable),
    )
    accepted = accepted_text(content.decode(), difference, change=change, name=str(file))
    if read_uri(str(file)) != content:
        raise ModelwayError(
            f"{file} changed while the batch was compared with it; nothing was written",
            file=str(file),
            remedy="run this again, on the contract as it is now",
        )
    write_uri(str(file), accepted.encode())


def shown_source(source: str, folder: Path) -> str:
    """The data as the contract names it: from the project's folder, without what is secret in its address."""
    from modelway.components.core.addresses import without_secrets
    from modelway.components.core.storage.uri import is_uri

    return without_secrets(source if is_uri(source) else os.path.relpath(Path(source).absolute(), folder.absolute()))


def _as_json(difference: ContractDifference, file: Path, *, accepted: bool) -> dict[str, Any]:
    return {
        "contract": str(file),
        "rows": difference.rows,
        "unit": difference.unit,
        "lines": [{"name": line.name, **asdict(line)} for line in difference.lines],
        "accepted": accepted,
        "remaining": [line.name for line in (*(() if accepted else difference.acceptable), *difference.by_hand)],
    }


def _print(difference: ContractDifference, file: Path, *, accepted: bool) -> None:
    """Prints a line for each of the contract's that the batch does not keep to, and what to do about them."""
    console = Console(soft_wrap=True)
    for line in difference.lines:
        console.print(f"  {_MARKS[line.verdict]} [bold]{escape(line.name)}[/bold] {escape(_sentence(line))}")
        for text in filter(None, (line.note, f"edit it by hand: {line.by_hand}" if line.by_hand else "")):
            console.print(f"      [dim]{escape(text)}[/dim]")
    acceptable, by_hand = len(difference.acceptable), len(difference.by_hand)
    if not acceptable and not by_hand:
        print_line(f"nothing to widen: {file} holds these {difference.rows:,} {difference.unit}")
    if by_hand:
        print_line(f"{_lines(by_hand)} for a person to decide: correct the data at its source, or edit {file}")
    if accepted:
        advice = "review it with `git diff`, commit it, then: modelway run. Rows that are accepted again count twice"
        print_line(f"{_lines(acceptable)} widened in {file}; {advice}")
    elif acceptable:
        print_line(
            f"{_lines(acceptable)} to widen, if the data is right: the same command with --accept --author … --reason …"
        )


def _lines(count: int) -> str:
    return f"{count:,} line{'s' * (count != 1)}"


def _sentence(line: LineDifference) -> str:
    """What a line says, what it would say, and what the batch has."""
    if line.line == "column":
        return "is missing" if line.now == "required" else f"is new, and {line.now}"
    texts = [
        f"{text:g}" if line.line == "nulls" else str(text) for text in (line.now, line.widened) if text is not None
    ]
    rows = f"{line.bad:,} of {line.rows:,}"
    shown = [f"{value} ({number:,})" for value, number in list(line.values.items())[:_MOST_VALUES]]
    shown += [f"and {len(line.values) - _MOST_VALUES:,} more"] if len(line.values) > _MOST_VALUES else []
    examples = ", ".join(shown or line.examples)
    return f"{' → '.join(texts)}: {rows} {_WORDS[line.line]}{f', {examples}' if examples else ''}; {line.verdict}"
