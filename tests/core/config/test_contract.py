from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from modelway.components.core.config.contract import Contract, check_agreement
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError

Text = Callable[..., str]


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ({"type": "number", "minimum": 5, "maximum": 4}, "no value can pass"),
        ({"type": "integer", "minimum": 5, "maximum": 4.5}, "no value can pass"),
        ({"type": "number", "minimum": float("nan")}, "nan bounds nothing"),
        ({"type": "string", "minimum": 0}, "do not fit the type string"),
        ({"type": "boolean", "maximum": 1}, "do not fit the type boolean"),
        ({"type": "date", "minimum": 5}, "does not fit the type date"),
        ({"type": "number", "minimum": dt.date(2024, 1, 1)}, "does not fit the type number"),
        ({"type": "date", "minimum": dt.date(2024, 2, 1), "maximum": dt.date(2024, 1, 1)}, "no value can pass"),
        ({"type": "date", "minimum": dt.datetime(2024, 1, 1, 9)}, "not a whole day"),
        (
            {"type": "datetime", "minimum": dt.datetime(2024, 1, 1, 1), "maximum": dt.datetime(2024, 1, 1)},
            "no value can pass",
        ),
        ({"type": "integer", "pattern": "a"}, "pattern does not fit"),
        ({"type": "string", "categories": []}, "categories is empty"),
        ({"type": "number", "categories": [1]}, "categories do not fit the type number"),
        ({"type": "date", "categories": ["2024-01-01"]}, "categories do not fit the type date"),
        ({"type": "string", "categories": ["a", 1]}, "the category 1 does not fit"),
        ({"type": "integer", "categories": [1, True]}, "the category True does not fit"),
        ({"type": "boolean", "categories": [1]}, "the category 1 does not fit"),
        ({"type": "integer", "categories": [1, 9], "maximum": 5}, "the category 9 is outside"),
        ({"type": "integer", "categories": [1, 9], "minimum": 5}, "the category 1 is outside"),
        ({"type": "number", "max_nulls": 1.5}, "less than or equal to 1"),
        ({"type": "decimal"}, "'boolean', 'integer'"),
    ],
)
def test_columns_that_contradict_themselves(column: dict[str, Any], says: str, contract_text: Text) -> None:
    with pytest.raises(ModelwayError) as error:
        Contract.parse(contract_text({"columns.x": column}), "contract.yaml")
    assert (error.value.key or "").startswith("columns.x")
    assert says in error.value.message


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"columns": {}}, "at least 1 item"),
        ({"unique": [["income", "city"]]}, "unique names 'city'"),
        ({"unique": [[]]}, "empty set of columns"),
        ({"rules": [{"name": "r", "rule": "a"}, {"name": "r", "rule": "b"}]}, "rules with the same name: r"),
        ({"rules": [{"name": "a rule", "rule": "a"}]}, "pattern"),
        ({"rules": [{"name": "r", "rule": "a", "tolerance": 1}]}, "less than 1"),
        ({"extra_columns": "ignore"}, "'allow' or 'forbid'"),
        ({"minimum_rows": 0}, "greater than or equal to 1"),
    ],
)
def test_contracts_that_contradict_themselves(contract_text: Text, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelwayError) as error:
        Contract.parse(contract_text(changes))
    assert says in error.value.message


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("date", dt.date(2024, 5, 1), dt.date(2024, 5, 1)),
        ("date", dt.datetime(2024, 5, 1), dt.date(2024, 5, 1)),
        ("datetime", dt.date(2024, 5, 1), dt.datetime(2024, 5, 1)),
        ("datetime", dt.datetime(2024, 5, 1, 9, 30), dt.datetime(2024, 5, 1, 9, 30)),
        (
            "datetime",
            dt.datetime(2024, 5, 1, 9, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            dt.datetime(2024, 5, 1, 7),
        ),
        ("number", 3, 3),
        ("integer", 2.5, 2.5),
    ],
)
def test_bounds_are_kept_as_the_column_holds_them(contract_text: Text, kind: str, text: Any, expected: Any) -> None:
    contract = Contract.parse(contract_text({"columns.x": {"type": kind, "minimum": text}}))
    value = contract.columns["x"].minimum
    assert value == expected
    assert type(value) is type(expected)


def test_agreement(project_text: Text, contract_text: Text) -> None:
    check_agreement(
        Project.parse(project_text()),
        Contract.parse(contract_text()),
        project_name="project.yaml",
        contract_name="contract.yaml",
    )


@pytest.mark.parametrize(
    ("in_project", "in_contract", "key", "column"),
    [
        ({"label": "unpaid"}, {}, "label", "unpaid"),
        ({"features.numeric": ["wage"]}, {}, "features.numeric", "wage"),
        ({"features.categorical": ["city"]}, {}, "features.categorical", "city"),
        ({"features.datetime": ["closed"]}, {}, "features.datetime", "closed"),
        ({"sensitive": ["sex"]}, {}, "sensitive", "sex"),
        ({"data.split": {"by": "group", "column": "person"}}, {}, "data.split.column", "person"),
        ({"features": {"numeric": ["region"]}}, {}, "features.numeric", "region"),
        ({"features": {"categorical": ["income"]}}, {}, "features.categorical", "income"),
        ({"features": {"datetime": ["age"]}}, {}, "features.datetime", "age"),
        ({"features": {"numeric": ["opened"]}}, {}, "features.numeric", "opened"),
        ({"task": "regression"}, {"columns.late": {"type": "boolean"}}, "task", "late"),
        ({"task": "regression"}, {"columns.late": {"type": "string"}}, "task", "late"),
    ],
)
def test_disagreements_name_key_and_column(
    project_text: Text,
    contract_text: Text,
    in_project: dict[str, Any],
    in_contract: dict[str, Any],
    key: str,
    column: str,
) -> None:
    project, contract = Project.parse(project_text(in_project)), Contract.parse(contract_text(in_contract))
    with pytest.raises(ModelwayError) as error:
        check_agreement(project, contract, project_name="project.yaml", contract_name="contract.yaml")
    assert (error.value.file, error.value.key, error.value.column) == ("contract.yaml", key, column)
    assert error.value.remedy


@pytest.mark.parametrize(
    ("kind", "types"),
    [
        ("numeric", {"boolean", "integer", "number"}),
        ("categorical", {"boolean", "integer", "string"}),
        ("datetime", {"date", "datetime"}),
    ],
)
def test_which_types_fit_which_features(project_text: Text, contract_text: Text, kind: str, types: set[str]) -> None:
    project = Project.parse(project_text({"features": {kind: ["x"]}}))
    fitting = set()
    for name in ("boolean", "integer", "number", "string", "date", "datetime"):
        contract = Contract.parse(contract_text({"columns.x": {"type": name}}))
        try:
            check_agreement(project, contract, project_name="project.yaml", contract_name="contract.yaml")
        except ModelwayError as error:
            assert error.value == name  # noqa: PT017
        else:
            fitting.add(name)
    assert fitting == types


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"per": "group"}, "`by` names the columns of a rule per group"),
        ({"by": ["income"]}, "`by` names the columns of a rule per group"),
        ({"per": "table", "by": ["income"]}, "`by` names the columns of a rule per group"),
        ({"per": "group", "by": ["city"]}, "groups by 'city'"),
        ({"per": "column"}, "'row', 'group' or 'table'"),
    ],
)
def test_rules_that_contradict_themselves(contract_text: Text, rule: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelwayError) as error:
        Contract.parse(contract_text({"rules": [{"name": "r", "rule": "AVG(income) > 1", **rule}]}))
    assert says in error.value.message


def test_a_rule_is_per_row_unless_said_otherwise(contract_text: Text) -> None:
    rules = [
        {"name": "a", "rule": "income > 1"},
        {"name": "b", "rule": "AVG(income) > 1", "per": "group", "by": ["region"]},
    ]
    value = Contract.parse(contract_text({"rules": rules})).rules
    assert [(rule.per, rule.by) for rule in value] == [("row", ()), ("group", ("region",))]
