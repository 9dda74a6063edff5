from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from modelway.components.core.config.contract import Contract, RowRule
from modelway.components.core.config.row_rules import check_rules, rule_condition, sides_of
from modelway.components.core.errors import ModelwayError

SCHEMA = pl.Schema(
    {
        "paid": pl.Float64(),
        "visits": pl.Int64(),
        "region": pl.String(),
        "born": pl.Date(),
        "seen": pl.Datetime("us"),
        "consent": pl.Boolean(),
    }
)
CONTRACT: dict[str, Any] = {
    "paid": {"type": "number"},
    "visits": {"type": "integer"},
    "region": {"type": "string"},
    "born": {"type": "date"},
    "seen": {"type": "datetime"},
    "consent": {"type": "boolean"},
}


def rule(text: str, per: str = "row", **fields: Any) -> RowRule:
    by = {"by": ("region",)} if per == "group" else {}
    return RowRule.model_validate({"name": "r", "rule": text, "per": per, **by, **fields})


OF_ONE_ROW = [
    "born <= CURRENT_DATE",
    "seen <= CURRENT_TIMESTAMP",
    "born <= CURRENT_DATE - INTERVAL '18' YEAR",
    "consent",
    "consent = TRUE",
    "region IN ('north', 'south')",
    "visits IN (1, 2)",
    "paid BETWEEN 0 AND 100 AND region LIKE 'n%'",
    "COALESCE(paid, 0) >= 0",
    "CASE WHEN visits > 1 THEN paid > 0 ELSE TRUE END",
    "ROUND(paid, 2) = paid",
    "EXTRACT(YEAR FROM born) >= 1900",
    "1 = 1",
    "born <= CAST(seen AS DATE)",
]
OF_MANY_ROWS = [
    "AVG(paid) < 500",
    "COUNT(*) > 1",
    "COUNT(DISTINCT region) > 1",
    "AVG(consent) >= 0.5",
    "SUM(paid) / COUNT(*) > 1",
    "MAX(born) <= CURRENT_DATE",
    "QUANTILE_CONT(paid, 0.5) > 1 AND MIN(paid) >= 0",
]
MIXED = [
    "paid > AVG(paid)",
    "ROUND(AVG(paid), 1) = paid",
]


@pytest.mark.parametrize("text", OF_ONE_ROW)
def test_conditions_of_a_row(text: str) -> None:
    rule_condition(rule(text), SCHEMA)


@pytest.mark.parametrize("text", OF_MANY_ROWS)
@pytest.mark.parametrize("per", ["group", "table"])
def test_conditions_of_many_rows(text: str, per: str) -> None:
    rule_condition(rule(text, per), SCHEMA)


@pytest.mark.parametrize("text", OF_MANY_ROWS + MIXED)
def test_a_rule_per_row_that_looks_at_other_rows_is_an_error(text: str) -> None:
    with pytest.raises(ModelwayError, match="looks at other rows than its own") as error:
        rule_condition(rule(text), SCHEMA)
    assert (error.value.key, error.value.value) == ("rules.r", text)
    assert "per: table" in error.value.remedy


@pytest.mark.parametrize("text", [text for text in OF_ONE_ROW + MIXED if text != "1 = 1"])
@pytest.mark.parametrize("per", ["group", "table"])
def test_a_rule_per_group_or_table_with_a_bare_column_is_an_error(text: str, per: str) -> None:
    with pytest.raises(ModelwayError, match=f"per {per}, but has a column outside an aggregate") as error:
        rule_condition(rule(text, per), SCHEMA)
    assert "AVG(paid)" in error.value.remedy


@pytest.mark.parametrize("per", ["group", "table"])
def test_an_aggregate_alone_is_no_condition(per: str) -> None:
    with pytest.raises(ModelwayError, match="gives Float64 where it must say true or false"):
        rule_condition(rule("AVG(paid)", per), SCHEMA)


def test_every_kind_of_rule_is_checked_before_there_is_data() -> None:
    def contract_of(rule_: RowRule) -> Contract:
        return Contract.model_validate({"columns": CONTRACT, "rules": [rule_.model_dump()]})

    for sound in (rule("consent"), rule("AVG(paid) < 5", "group"), rule("AVG(paid) < 5", "table")):
        check_rules(contract_of(sound), "contract.yaml")
    for wrong in (rule("AVG(paid) < 5"), rule("paid < 5", "group"), rule("paid < 5", "table")):
        with pytest.raises(ModelwayError) as error:
            check_rules(contract_of(wrong), "contract.yaml")
        assert (error.value.file, error.value.key) == ("contract.yaml", "rules.r")


def test_no_birth_date_in_the_future() -> None:
    today = dt.datetime.now(dt.UTC).date()
    born = pl.DataFrame({"born": [today - dt.timedelta(days=2), today + dt.timedelta(days=2), None]})
    assert born.select(rule_condition(rule("born <= CURRENT_DATE"), SCHEMA))["born"].to_list() == [True, False, False]


def test_consent_is_given_where_it_is_true_and_nowhere_else() -> None:
    table = pl.DataFrame({"consent": [True, False, None]})
    assert table.select(rule_condition(rule("consent"), SCHEMA))["consent"].to_list() == [True, False, False]


def test_the_sides_of_a_comparison_are_what_was_measured() -> None:
    table = pl.DataFrame({"paid": [1.0, 3.0], "visits": [4, 8]})
    values = [table.select(side).item() for side in sides_of(rule("AVG(paid) < SUM(visits)", "table"), SCHEMA)]
    assert values == [2.0, 12]
    assert len(sides_of(rule("AVG(paid) < 5", "table"), SCHEMA)) == 1
    assert sides_of(rule("AVG(paid) < 5 AND MAX(paid) < 9", "table"), SCHEMA) == []


def test_thousands_of_rules_over_thousands_of_columns_are_checked_one_by_one() -> None:
    columns = {f"c{number}": {"type": "number"} for number in range(2000)}
    rules = [{"name": f"r{number}", "rule": f"c{number} >= 0"} for number in range(1000)]
    check_rules(Contract.model_validate({"columns": columns, "rules": rules}), "contract.yaml")
