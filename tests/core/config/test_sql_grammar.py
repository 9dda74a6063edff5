from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from modelway.components.core.config.sql_grammar import AGGREGATES, COPIES, DATE_PARTS, FUNCTIONS, MOST_LETTERS, TYPES
from modelway.components.core.config.sql_writer import write_condition

ARGUMENTS = {
    **dict.fromkeys(("LEFT", "RIGHT", "SUBSTR", "SUBSTRING", "ROUND", "TRUNC", "TRUNCATE"), ("2", "3")),
    **dict.fromkeys(("REPLACE", "REGEXP_REPLACE"), ("'a'", "''")),
    **dict.fromkeys(("STRFTIME", "STRPTIME", "STARTS_WITH", "ENDS_WITH", "STRPOS", "REGEXP_LIKE"), ("'%Y'", "'i'")),
    **dict.fromkeys(("DATE", "TIME", "TIMESTAMP", "DATETIME"), ("'%Y'",)),
    **dict.fromkeys(("QUANTILE_CONT", "QUANTILE_DISC"), ("0.5",)),
    "SPLIT_PART": ("'-'", "2"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_is_polars_own_and_copies_no_more_than_is_counted(name: str) -> None:
    """Against a version of Polars that copies arguments of more functions, which the limit of parts is counted by."""
    fewest, most = FUNCTIONS[name]
    for number in {fewest, min(most, 3)}:
        for place in range(number):
            arguments = (["y", *ARGUMENTS.get(name, ("z", "w"))])[:number]
            if name == "DATE_PART":
                arguments = ["'epoch'", "y"]
            elif name == "CONCAT_WS":
                arguments = ["','", "y", "z"][:number]
            if not arguments[place].isidentifier():
                continue
            arguments[place] = '"here"'
            text = f"{name}({', '.join(arguments)})"
            assert str(pl.sql_expr(write_condition(text))).count('"here"') <= COPIES.get(name, 1), text
    if name in AGGREGATES and fewest == 1:
        write_condition(f"{name}(DISTINCT a) FILTER (WHERE b > 1)")


def test_the_page_lists_each_function_and_type() -> None:
    page = (Path(__file__).parents[3] / "docs/gates.md").read_text(encoding="utf-8")
    section = page.partition("### What a rule may hold")[2].partition("\n## ")[0]
    listed = set(re.findall(r"[A-Z][A-Z0-9_]+", section))
    others = {"CEILING", "TRUNCATE", "POWER", "CHAR_LENGTH", "CHARACTER_LENGTH", "STDEV", "STDEV_SAMP", "STDDEV_SAMP"}
    assert FUNCTIONS.keys() - listed == others | {"VAR", "VAR_SAMP", "COVAR_SAMP"}  # other names of those listed
    assert TYPES - listed == {"SMALLINT", "INTEGER"}
    assert re.findall("[0-9,]+ characters", section)[0] == f"{MOST_LETTERS:,} characters"
    for name in set(re.findall(r"`([A-Z][A-Z0-9_]+)`", section)) - TYPES - {"AND", "OR", "NOT", "CASE", "CURRENT_DATE"}:
        assert name in FUNCTIONS or name in {"POSITION", "TRIM", "TRY_CAST", "DISTINCT"}, name


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_each_type_is_polars_own(kind: str) -> None:
    assert str(pl.sql_expr(write_condition(f"CAST(a AS {kind})"))) == str(pl.sql_expr(f"CAST(a AS {kind})"))


@pytest.mark.parametrize("part", sorted(DATE_PARTS))
def test_each_part_of_a_date_is_polars_own(part: str) -> None:
    pl.sql_expr(write_condition(f"EXTRACT({part} FROM a)"))
    pl.sql_expr(write_condition(f"DATE_PART('{part.lower()}', a)"))
