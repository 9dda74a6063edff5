from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from user_files import minimal_project_text

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.uri import content_version
from modelway.components.core.tables.unparsed import Unparsed, unparsed_values
from modelway.components.ingest.stage import Ingestion, ingest

CONTRACT = "columns: {id: {type: string}, income: {type: number}, late: {type: boolean}}"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "loans.csv"
    rows = "".join(f"{number:04},{number * 10},{'yes' if number % 3 else 'no'}\n" for number in range(400))
    file.write_text("id,income,late\n" + rows, encoding="utf-8")
    return file


def project_text(source: Path, split: dict[str, float] | None = None, **data: str) -> str:
    by_row = {"by": "row", "column": "id", "test_fraction": 0.25}
    return minimal_project_text(data={"source": str(source), "split": by_row | (split or {}), **data})


def run(source: Path, folder: Path, version: str = "", contract: str = CONTRACT) -> Ingestion:
    paths = (folder / "a" / "train", folder / "b" / "test", folder / "c" / "unseen", folder / "d" / "serving")
    return ingest(project_text(source), contract, expected_version=version, **parts(*paths))


def parts(train: Path, test: Path, unseen: Path, serving: Path) -> dict[str, str]:
    paths = {"train_path": train, "test_path": test, "unseen_path": unseen, "serving_path": serving}
    return {name: str(path) for name, path in paths.items()}


def test_both_splits_are_written_with_what_they_are_made_of(source: Path, tmp_path: Path) -> None:
    ingestion = run(source, tmp_path / "out", content_version(str(source)))
    train = pl.read_parquet(tmp_path / "out" / "a" / "train")
    test = pl.read_parquet(tmp_path / "out" / "b" / "test")
    assert (*ingestion.rows[:2], ingestion.columns) == (len(train), len(test), 3)
    assert train.schema == {"id": pl.String, "income": pl.Float64, "late": pl.Boolean}
    assert sorted([*train["id"], *test["id"]]) == [f"{number:04}" for number in range(400)]
    assert f"sha256:{ingestion.data_hash}" == content_version(str(source))


def test_the_same_source_gives_the_same_files(source: Path, tmp_path: Path) -> None:
    ingestion = [run(source, tmp_path / name) for name in ("one", "two")]
    assert ingestion[0] == ingestion[1]
    for part in ("a/train", "b/test"):
        assert_frame_equal(pl.read_parquet(tmp_path / "one" / part), pl.read_parquet(tmp_path / "two" / part))


def test_another_content_has_another_hash(source: Path, tmp_path: Path) -> None:
    before = run(source, tmp_path / "one")
    source.write_text(source.read_text(encoding="utf-8") + "9999,1,no\n", encoding="utf-8")
    after = run(source, tmp_path / "two")
    assert after.data_hash != before.data_hash
    assert sum(after.rows[:2]) == 401


def test_a_source_that_changed_since_the_run_began(source: Path, tmp_path: Path) -> None:
    serving_file = content_version(str(source))
    source.write_text("id,income,late\n1,2,yes\n", encoding="utf-8")
    with pytest.raises(ModelwayError, match="changed after this run began") as error:
        run(source, tmp_path / "out", serving_file)
    assert (error.value.file, error.value.key) == (str(source), "data.source")
    assert not (tmp_path / "out").exists()


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelwayError, match="cannot be read") as error:
        run(tmp_path / "none.csv", tmp_path / "out")
    assert error.value.file == str(tmp_path / "none.csv")


def test_a_broken_contract_is_named(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelwayError) as error:
        run(source, tmp_path / "out", contract="columns: {id: {type: text}}")
    assert error.value.key == "columns.id.type"


def test_rows_held_back_and_what_is_served_are_written_too(source: Path, tmp_path: Path) -> None:
    serving_file = tmp_path / "asked.csv"
    serving_file.write_text("id,income\n7,70\n8,80\n", encoding="utf-8")
    project = project_text(source, {"unseen_fraction": 0.25}, serving=str(serving_file))
    paths = [tmp_path / name for name in ("train", "test", "unseen", "serving")]
    ingestion = ingest(project, CONTRACT, **parts(*paths))
    train, test, unseen, serving = map(pl.read_parquet, paths)
    assert ingestion.rows == (len(train), len(test), len(unseen), 2)
    assert len(unseen) > 60
    assert sorted([*train["id"], *test["id"], *unseen["id"]]) == [f"{number:04}" for number in range(400)]
    assert serving.to_dict(as_series=False) == {"id": ["7", "8"], "income": [70.0, 80.0]}


def test_without_them_their_tables_have_no_rows(source: Path, tmp_path: Path) -> None:
    ingestion = run(source, tmp_path)
    assert ingestion.rows[2:] == (0, 0)
    assert pl.read_parquet(tmp_path / "c" / "unseen").schema == pl.read_parquet(tmp_path / "a" / "train").schema
    assert pl.read_parquet(tmp_path / "d" / "serving").is_empty()


def test_what_is_served_is_named_where_it_cannot_be_read(source: Path, tmp_path: Path) -> None:
    project = project_text(source, serving=str(tmp_path / "none.csv"))
    with pytest.raises(ModelwayError, match=r"none\.csv") as error:
        ingest(project, CONTRACT, **parts(*(tmp_path / name for name in ("a", "b", "c", "d"))))
    assert error.value.key == "data.serving"


LETS_PASS = CONTRACT.replace("type: number", "type: number, seen: {rows: 400}")


def test_values_that_do_not_parse_are_missing_and_counted_in_each_split(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = [f"{number:04},{'n.a.' if number % 10 == 7 else number},yes\n" for number in range(400)]
    (tmp_path / "loans.csv").write_text("id,income,late\n" + "".join(text), encoding="utf-8")
    (tmp_path / "served.csv").write_text("id,income\n7,about 70\n8,80\n", encoding="utf-8")
    split = {"unseen_fraction": 0.25}
    project = project_text(tmp_path / "loans.csv", split, serving=str(tmp_path / "served.csv"))
    paths = [tmp_path / name for name in ("train", "test", "unseen", "serving")]
    ingestion = ingest(project, LETS_PASS, **parts(*paths))
    *tables, serving = map(pl.read_parquet, paths)
    *unparsed, of_serving = (unparsed_values(str(path)) for path in paths)
    for table, values, count in zip(tables, unparsed, ingestion.unparsed, strict=False):
        bad = table.select("id", "income").with_row_index().filter(pl.col("id").str.ends_with("7"))
        assert bad["income"].null_count() == len(bad) == table["income"].null_count() > 3
        assert values == {"income": Unparsed(len(bad), ("n.a.",), tuple(bad["index"].to_list()))}
        assert count == {"income": len(bad)}
    assert sum(values["income"].rows for values in unparsed) == 40
    assert serving["income"].to_list() == [None, 80.0]
    assert of_serving == {"income": Unparsed(1, ("about 70",), (0,))}
    assert [record.getMessage() for record in caplog.records] == [
        "data.source: 40 of 400 values of 'income' are no valid number, such as 'n.a.'; they are taken as missing",
        "data.serving: 1 of 2 values of 'income' are no valid number, such as 'about 70'; they are taken as missing",
    ]


def test_a_split_is_the_same_whatever_does_not_parse(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "one", contract=LETS_PASS)
    source.write_text(source.read_text(encoding="utf-8").replace(",70,", ",seventy,"), encoding="utf-8")
    run(source, tmp_path / "two", contract=LETS_PASS)
    for part in ("a/train", "b/test"):
        one, two = (pl.read_parquet(tmp_path / name / part) for name in ("one", "two"))
        assert_frame_equal(one.with_columns(income=pl.col("income").replace(70.0, None)), two)


@pytest.mark.parametrize(("column", "type_"), [("late", "boolean"), ("id", "integer")])
def test_the_label_and_the_column_to_split_by_are_strict(source: Path, tmp_path: Path, column: str, type_: str) -> None:
    lines = source.read_text(encoding="utf-8").splitlines()
    lines[1] = "first,0,perhaps"
    source.write_text("\n".join(lines), encoding="utf-8")
    kinds = {"id": "string", "income": "number", "late": "boolean", column: type_}
    columns = ", ".join(f"{name}: {{type: {kind}, seen: {{rows: 400}}}}" for name, kind in kinds.items())
    ingestion = run(source, tmp_path, contract=f"columns: {{{columns}}}")
    assert pl.read_parquet(tmp_path / "a" / "train").schema[column] == pl.String
    assert ingestion.unparsed == ({}, {}, {}, {})
    assert unparsed_values(str(tmp_path / "a" / "train")) == {}
