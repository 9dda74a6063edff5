from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal

from modelway.components.core.audit.opened_version import OpenedVersion
from modelway.components.core.config.contract import Contract
from modelway.components.core.errors import DamagedError
from modelway.components.core.evidence.files import ROWS_FILE
from modelway.components.core.tables.placement import Hashes
from modelway.components.core.tables.unparsed import Unparsed
from modelway.components.validate.counting import Tally, count
from modelway.components.validate.new_rows import (
    MOST_ROWS,
    hashes_of,
    judges_by_evidence,
    new_among,
    new_rows,
    registered_hashes,
    write_hashes,
)

TABLE = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})
PINNED = [1070788642207, 772458041924, 1010282940322]


@dataclass
class Files:
    """A version's evidence, of which nothing else is read here."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    version: str = "version 1 of loans"


def champion(**files: bytes) -> OpenedVersion:
    return cast("OpenedVersion", Files({name.replace("_", "."): content for name, content in files.items()}))


def parquet(**columns: Any) -> bytes:
    content = BytesIO()
    pl.DataFrame(columns).write_parquet(content)
    return content.getvalue()


def hashes(*tables: pl.DataFrame) -> Hashes:
    values = hashes_of(*(table.lazy() for table in tables))
    assert values is not None
    return values


def test_a_row_has_the_hash_that_earlier_releases_know_it_by() -> None:
    assert hashes(TABLE).tolist() == PINNED


@pytest.mark.parametrize(
    "table",
    [
        TABLE.select("b", "a"),
        TABLE.cast({"a": pl.Int16, "b": pl.Categorical}),
        TABLE.cast({"a": pl.Float64}),
        pl.concat([TABLE.head(1), TABLE.tail(2)], rechunk=False),
    ],
    ids=["the columns' order", "the stored types", "numbers", "chunks"],
)
def test_how_a_table_is_stored_does_not_matter(table: pl.DataFrame) -> None:
    assert hashes(table).tolist() == hashes(TABLE).tolist()


def test_rows_of_some_tables_are_hashed_in_order_and_in_parts() -> None:
    long = pl.DataFrame({"a": range(600_000)})
    values = hashes(long, long.head(2))
    assert len(np.unique(values)) == 600_000  # a collision has a probability of 0.16
    assert values[600_000:].tolist() == values[:2].tolist()
    assert values[299_999:300_002].tolist() == hashes(long[299_999:300_002]).tolist()
    assert int(values.max()) < 2**40


def test_a_column_more_is_another_row() -> None:
    assert not set(hashes(TABLE).tolist()) & set(hashes(TABLE.with_columns(c=1)).tolist())


def test_of_too_many_rows_no_hashes_are_kept() -> None:
    rows = pl.LazyFrame().select(a=pl.int_range(MOST_ROWS))
    assert hashes_of(rows, TABLE.lazy()) is None


def test_hashes_are_written_and_read(tmp_path: Path) -> None:
    write_hashes(tmp_path, hashes(TABLE, TABLE.head(1)))
    content = (tmp_path / ROWS_FILE).read_bytes()
    read = registered_hashes(champion(rows_parquet=content))
    assert read is not None
    assert read.tolist() == sorted([*hashes(TABLE).tolist(), *hashes(TABLE.head(1)).tolist()])
    write_hashes(tmp_path, hashes(TABLE.reverse(), TABLE.head(1)))
    assert (tmp_path / ROWS_FILE).read_bytes() == content


@pytest.mark.parametrize("version", [None, champion(), champion(sample_parquet=b"")])
def test_a_champion_without_hashes(version: OpenedVersion | None) -> None:
    assert registered_hashes(version) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1",
        parquet(other=[1]),
        parquet(hash=["1"]),
        parquet(hash=pl.Series([1, None], dtype=pl.UInt64)),
    ],
)
def test_hashes_that_cannot_be_read(content: bytes) -> None:
    with pytest.raises(DamagedError, match="version 1 of loans") as error:
        registered_hashes(champion(rows_parquet=content))
    assert error.value.file == ROWS_FILE


def array(*values: int) -> Hashes:
    return np.array(values, dtype=np.uint64)


HUNDREDS = array(*range(0, 20_000, 100))


@pytest.mark.parametrize(
    ("rows", "registered", "is_new"),
    [
        (array(100, 1, 0, 2**39), HUNDREDS, [False, True, False, True]),
        (array(100, 100), HUNDREDS, [False, False]),
        (array(7, 8), HUNDREDS, [True, True]),
        (array(), HUNDREDS, []),
        (array(100, 1), np.sort(np.append(HUNDREDS, array(100, 200))), [False, True]),  # 200 of 202 are distinct
        (array(100, 1), np.sort(np.append(HUNDREDS, array(100, 200, 300))), None),
        (array(100, 1), array(), None),
        (array(100, 1), None, None),
        (None, HUNDREDS, None),
    ],
    ids=["some", "a copy", "all new", "none", "few equal", "more equal", "empty", "not kept", "too many"],
)
def test_rows_are_known_by_their_hashes(
    rows: Hashes | None, registered: Hashes | None, is_new: list[bool] | None
) -> None:
    mask = new_among(rows, registered, unparsed={})
    assert (None if mask is None else mask.tolist()) == is_new


def test_nothing_is_left_out_where_it_is_not_known_which_values_do_not_parse() -> None:
    assert new_among(array(100, 1), HUNDREDS, unparsed={"a": Unparsed(1, (), (0,))}) is not None
    assert new_among(array(100, 1), HUNDREDS, unparsed={"a": Unparsed(1, (), None)}) is None


def test_new_rows_are_counted_alone(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    tables = [
        pl.DataFrame({"a": dice.normal(size=rows), "b": dice.choice(["x", "y", "z"], rows)}) for rows in (9_000, 500)
    ]
    for number, table in enumerate(tables):
        table.write_parquet(tmp_path / f"{number}", row_group_size=1000)
    rows, is_new = pl.concat(tables), dice.random(9_500) < 0.3
    scanned = pl.concat([pl.scan_parquet(tmp_path / f"{number}") for number in range(2)])
    positions = tuple(np.flatnonzero(rows["a"] > 2).tolist())
    unparsed = {"a": Unparsed(len(positions), ("?",), positions)}
    tally = Tally({"high": pl.col("a") > 1, "is_x": pl.col("b") == "x"})
    new = new_rows(scanned, is_new, tally=tally, low_cardinality=["b"], unparsed=unparsed)
    assert new is not None
    expected = rows.filter(is_new)
    assert_frame_equal(new.table.collect(engine="streaming"), expected)
    assert new.counts == count(expected.lazy(), tally, low_cardinality=["b"])
    among = tuple(np.flatnonzero(expected["a"] > 2).tolist())
    assert new.unparsed == {"a": Unparsed(len(among), ("?",), among)}


@pytest.mark.parametrize("is_new", [None, np.ones(3, dtype=bool)])
def test_where_all_rows_are_new_none_are_read_again(is_new: Any) -> None:
    assert new_rows(TABLE.lazy(), is_new, tally=Tally(), low_cardinality=[], unparsed={}) is None


def test_where_no_row_is_new_none_is_counted() -> None:
    is_new = np.zeros(3, dtype=bool)
    new = new_rows(TABLE.lazy(), is_new, tally=Tally({"a": pl.col("a") > 0}), low_cardinality=[], unparsed={})
    assert new is not None
    assert (new.counts.rows, new.counts.numbers, new.table.collect().height) == (0, {"a": 0}, 0)


@pytest.mark.parametrize(
    ("says", "label", "by_evidence"),
    [
        ("{type: integer, seen: {rows: 9}}", "late", True),
        ("{type: integer, seen: {rows: 9}}", "age", False),
        ("{type: integer, seen: {rows: 9}, strict: true}", "late", False),
        ("{type: integer}", "late", False),
    ],
)
def test_a_contract_judges_by_evidence_where_a_line_has_some(says: str, label: str, *, by_evidence: bool) -> None:
    contract = Contract.model_validate({"columns": {"age": yaml.safe_load(says), "late": {"type": "integer"}}})
    assert judges_by_evidence(contract, label=label) is by_evidence
