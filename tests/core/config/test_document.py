from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.document import is_reference, line_of, locate
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.errors import DamagedError, ModelwayError

Text = Callable[..., str]


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"taks": "binary"}, "taks", "no such key"),
        ({"data.sorce": "x"}, "data.sorce", "no such key"),
        ({"label": ...}, "label", "this key is required"),
        ({"data.source": ...}, "data.source", "this key is required"),
        ({"task": "clustering"}, "task", "'binary', 'multiclass' or 'regression'"),
        ({"label": 3}, "label", "valid string"),
        ({"features.numeric": "income"}, "features.numeric", "valid tuple"),
        ({"data.split": {"test_fraction": 1.5}}, "data.split.test_fraction", "less than 1"),
        ({"data.split": {"seed": -1}}, "data.split.seed", "greater than or equal to 0"),
        ({"model.class_weight": "even"}, "model.class_weight", "'balanced'"),
        ({"model.parameters": {"C": {"a": [1]}}}, "model.parameters.C.a", "valid"),
        ({"data": None}, "data", "valid"),
    ],
)
def test_a_broken_key_is_named_with_its_file(
    tmp_path: Path, project_text: Text, changes: dict[str, Any], key: str, says: str
) -> None:
    file = tmp_path / "project.yaml"
    file.write_text(project_text(changes), encoding="utf-8")
    with pytest.raises(ModelwayError) as failure:
        Project.load(file)
    error = failure.value
    assert error.file == str(file)
    assert error.key == key
    assert f"{key}: " in error.message
    assert says in error.message
    assert error.message.startswith(f"a problem in {file}")
    assert "modelway schema project" in error.remedy


def test_the_offending_value_is_told(project_text: Text) -> None:
    with pytest.raises(ModelwayError) as error:
        Project.parse(project_text({"task": "clustering"}))
    assert error.value.value == "clustering"


def test_all_problems_are_listed(contract_text: Text) -> None:
    text = contract_text({"columns.age.type": "int", "columns.income.maxnulls": 0.1, "colums": {}, "minimum_rows": 0})
    with pytest.raises(ModelwayError) as error:
        Contract.parse(text, "contract.yaml")
    message = error.value.message
    assert message.startswith("4 problems in contract.yaml")
    for key in ("columns.age.type", "columns.income.maxnulls", "colums", "minimum_rows"):
        assert f"{key}: " in message


def test_many_problems_are_cut_and_counted(contract_text: Text) -> None:
    text = contract_text({f"columns.c{number}.kind": "x" for number in range(9)})
    with pytest.raises(ModelwayError, match="18 problems") as error:
        Contract.parse(text)
    assert "and 8 more" in error.value.message


def test_a_union_is_one_problem_at_its_own_key(contract_text: Text) -> None:
    with pytest.raises(ModelwayError) as error:
        Contract.parse(contract_text({"columns.age.minimum": "low"}))
    assert error.value.key == "columns.age.minimum"
    assert error.value.value == "low"
    assert error.value.message.startswith("a problem in contract file")


def test_a_number_as_a_key_is_located(project_text: Text) -> None:
    with pytest.raises(ModelwayError) as error:
        Project.parse(project_text({"model.class_weight": {0: 1.0, 1: "much"}}))
    assert error.value.key == "model.class_weight.1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1, 2", "expected ',' or ']'"),
        ("a: 1\na: 2", "the key 'a' is given twice"),
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3", "the key 'c' is given twice"),
        ("a: 1\n---\nb: 2", "another document"),
        ("a: \x00", "cannot be parsed"),
        ("{{ label }}: x", "a key is itself a mapping or a list"),
        ("? [a, b]\n: x", "a key is itself a mapping or a list"),
        ("a: &x 1\nb: *y", "undefined alias"),
        (
            "a: !!python/object/apply:os.system [ls]",
            "python/object/apply:os.system is none that is read here",
        ),
    ],
)
def test_what_is_no_yaml_is_refused(text: str, says: str) -> None:
    with pytest.raises(ModelwayError) as error:
        Project.parse(text, "project.yaml")
    assert error.value.file == "project.yaml"
    assert says in error.value.message


def test_the_line_of_a_key_given_twice_is_told() -> None:
    with pytest.raises(ModelwayError, match="at line 4"):
        Contract.parse("columns:\n  a: {type: date}\n  b: {type: date}\n  a: {type: string}\n")


TEXT = """\
name: loans   # line 1
data:
  source: loans.csv
  split: {by: row, seed: 3}
features:
  numeric:
    - income
    - age
checks:
  a.b: {max: 1}
  a:
    b: 2
  7: seven
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("name", 1),
        ("data", 2),
        ("data.source", 3),
        ("data.split.seed", 4),
        ("features.numeric", 6),
        ("features.numeric.1", 8),
        pytest.param("features.numeric.5", 6, id="beyond the list's end"),
        pytest.param("checks.a.b", 10, id="a name with a dot"),
        pytest.param("checks.a.b.max", 10, id="below a name with a dot"),
        pytest.param("checks.a", 11, id="the first part of another name"),
        ("checks.7", 13),
        pytest.param("data.format", 2, id="missing, its parent is there"),
        pytest.param("name.first.second", 1, id="below a value"),
        pytest.param("label", None, id="missing, without a parent"),
        ("", None),
    ],
)
def test_a_key_has_a_line(key: str, line: int | None) -> None:
    assert line_of(TEXT, key) == line


@pytest.mark.parametrize(
    "text", ["", "a: [1", "- a\n- b\n", "a: &x [*x]\nb: 1\n", '{"name": 1}', '{"name": 1}\n', "\0"]
)
def test_what_has_no_such_line_has_none(text: str) -> None:
    assert line_of(text, "name") is None


def test_a_broken_key_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "contract.yaml"
    file.write_text(
        "minimum_rows: 1\ncolumns:\n  age: {kind: integer}\n  income:\n    kind: number\n", encoding="utf-8"
    )
    with pytest.raises(ModelwayError) as error:
        Contract.load(file)
    assert (error.value.key, error.value.line) == ("columns.age.type", 3)
    assert "columns.age.type: " in error.value.message
    assert "(line 3)" in error.value.message
    assert "(line 5)" in error.value.message


def test_a_text_without_lines_has_no_line(project_text: Text) -> None:
    with pytest.raises(ModelwayError) as error:
        Project.parse(json.dumps(yaml.safe_load(project_text({"taks": "binary"}))))
    assert (error.value.key, error.value.line) == ("taks", None)


@pytest.mark.parametrize(
    ("name", "key", "line"),
    [
        ("project.yaml", "data.source", 3),
        ("project.yaml", None, None),
        ("other.yaml", "data.source", None),
        ("project.json", "data.source", None),
        ("latin.yaml", "data.source", None),
    ],
)
def test_an_error_about_a_key_of_a_file_is_located(
    tmp_path: Path, name: str, key: str | None, line: int | None
) -> None:
    for file in ("project.yaml", "project.json"):
        (tmp_path / file).write_text(TEXT, encoding="utf-8")
    (tmp_path / "latin.yaml").write_bytes("größe: 1\n".encode("latin-1"))
    error = ModelwayError("it is not there", file=str(tmp_path / name), key=key, remedy="mend it")
    assert locate(error).line == line


def test_a_line_that_is_known_stays(tmp_path: Path) -> None:
    (tmp_path / "project.yaml").write_text(TEXT, encoding="utf-8")
    error = ModelwayError("m", file=str(tmp_path / "project.yaml"), line=9, key="name", remedy="r")
    assert locate(error).line == 9


@pytest.mark.parametrize("text", ["", "   \n", "# nothing but a comment\n", "- a\n- b\n", "just text", "null", "3"])
def test_a_file_without_keys_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ModelwayError, match="is not a mapping of keys") as error:
        Policy.load(file)
    assert error.value.file == str(file)
    assert "modelway init" in error.value.remedy


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path, project_text: Text) -> None:
    file = tmp_path / "project.yaml"
    file.write_text(project_text({"name": "x"}) + "# größe\n", encoding="latin-1")
    with pytest.raises(ModelwayError, match="not UTF-8") as error:
        Project.load(file)
    assert error.value.file == str(file)


@pytest.mark.parametrize("name", ["none.yaml", "folder"])
def test_what_is_not_a_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelwayError, match="cannot be read") as error:
        Project.load(tmp_path / name)
    assert error.value.file == str(tmp_path / name)


def test_a_document_is_read_from_a_path_a_name_or_its_text(tmp_path: Path, policy_text: Text) -> None:
    text = policy_text()
    file = tmp_path / "policy.yaml"
    file.write_text(text, encoding="utf-8")
    as_json = tmp_path / "policy.json"
    as_json.write_text(json.dumps(yaml.safe_load(text), indent=2), encoding="utf-8")
    read = [Policy.load(source) for source in (file, str(file), as_json, text)]
    assert all(hash_ == read[0] for hash_ in read)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, policy_text: Text) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(policy_text(), encoding="utf-8-sig")
    assert Policy.load(file) == Policy.parse(policy_text())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("policy.yaml", True),
        ("conf/policy.yml", True),
        ("s3://bucket/policy", True),
        ('{"model": "x.json"}', False),
        ("model:\n  a: x.yaml", False),
        ("just text", False),
    ],
)
def test_a_reference_is_told_from_a_text(source: str, expected: bool) -> None:
    assert is_reference(source) is expected


def shuffled(value: Any, dice: random.Random) -> Any:
    if isinstance(value, dict):
        keys = dice.sample(list(value), len(value))
        return {key: shuffled(value[key], dice) for key in keys}
    return value


@pytest.mark.parametrize("seed", range(3))
def test_the_hash_does_not_depend_on_the_order_of_keys(
    project_text: Text, contract_text: Text, policy_text: Text, seed: int
) -> None:
    documents = [(Project, project_text()), (Contract, contract_text()), (Policy, policy_text())]
    for model, text in documents:
        shuffled_text = yaml.safe_dump(shuffled(yaml.safe_load(text), random.Random(seed)), sort_keys=False)
        assert model.parse(shuffled_text).sha256() == model.parse(text).sha256()


def test_the_hash_changes_with_every_value(project_text: Text) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"label": "unpaid"},
        {"data.split": {"seed": 1}},
        {"model.parameters": {"C": 0.5}},
        {"model.parameters": {"C": None}},
        {"model.parameters": {"C": "0.5"}},
        {"features.numeric": ["age", "income"]},
    ]
    assert len({Project.parse(project_text(change)).sha256() for change in changes}) == len(changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"columns.opened.minimum": dt.date(2020, 1, 1), "columns.opened.maximum": dt.date(2030, 12, 31)},
        {"columns.opened": {"type": "datetime", "minimum": dt.datetime(2020, 1, 1, 8, 30, 0, 5)}},
        {"columns.opened": {"type": "datetime", "minimum": dt.date(2020, 1, 1)}},
        {"columns.opened": {"type": "datetime", "maximum": dt.datetime(2020, 1, 1, 8, tzinfo=dt.UTC)}},
        {"columns.income.minimum": -1.5, "columns.income.maximum": 3},
        {"columns.region.categories": ["1", "yes", "null", "2024-01-01", "~"]},
        {"columns.region.description": "Größe, “quoted”: 50 % {x}"},
        {"rules": [{"name": "r", "rule": "income > 0 -- paid", "tolerance": 0.25}], "unique": [["age", "region"]]},
    ],
)
def test_a_contract_survives_its_canonical_text(contract_text: Text, changes: dict[str, Any]) -> None:
    contract = Contract.parse(contract_text(changes))
    again = Contract.parse(contract.canonical())
    assert again == contract
    assert again.canonical() == contract.canonical()
    assert "\n" not in contract.canonical()
    json.loads(contract.canonical())


@pytest.mark.parametrize(
    "parameters",
    [
        {"C": None, "tol": 1e-9, "warm_start": False, "penalty": "l2"},
        {"hidden_layer_sizes": [10, 5], "class_weight": {"a": 1, "b": 2.5}},
        {"C": float("inf"), "low": float("-inf")},
        {"text": "Infinity", "other": "NaN", "date": "2024-01-01", "number": "5"},
    ],
)
def test_a_project_survives_its_canonical_text(project_text: Text, parameters: dict[str, Any]) -> None:
    project = Project.parse(project_text({"model.parameters": parameters}))
    assert project.model.parameters == parameters
    assert Project.parse(project.canonical()) == project


def test_a_parameter_that_is_not_a_number_stays_one(project_text: Text) -> None:
    project = Project.parse(project_text({"model.parameters": {"missing": float("nan")}}))
    value = Project.parse(project.canonical()).model.parameters["missing"]
    assert isinstance(value, float)
    assert value != value  # noqa: PLR0124


def test_a_document_does_not_change_once_read(policy_text: Text) -> None:
    policy = Policy.parse(policy_text())
    with pytest.raises(ValueError, match="frozen"):
        policy.model.minimum_rows = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "key",
    [
        "data.drift.psi",
        "data.drift.multivariate",
        "data.leakage.single_feature",
        "model.confidence",
        "serving.sla.cold_start_seconds",
    ],
)
def test_a_null_that_means_something_is_in_the_canonical_text(policy_text: Text, key: str) -> None:
    policy = Policy.parse(policy_text({key: None}))
    assert policy != Policy.parse(policy_text())
    assert Policy.parse(policy.canonical()) == policy
    assert policy.sha256() != Policy.parse(policy_text()).sha256()


def test_a_null_parameter_is_in_the_canonical_text(project_text: Text) -> None:
    project = Project.parse(project_text({"model.parameters": {"max_depth": None}}))
    assert Project.parse(project.canonical()) == project
    assert json.loads(project.canonical())["model"]["parameters"]["max_depth"] is None


def test_keys_that_are_null_unless_given_are_not_in_the_canonical_text(policy_text: Text) -> None:
    policy = Policy.parse(policy_text({"model.fairness": {"groups": {"recall": {"min": 0.2}}}}))
    content = json.loads(policy.canonical())
    assert "no_regression" not in content["model"]
    assert content["model"]["fairness"]["groups"]["recall"] == {"min": 0.2}


SETTINGS: dict[str, Any] = {
    "display_name": "Late loans",
    "labels": {"team": "risk"},
    "s3_accounts": "separate",
    "resources": {
        "default": {"cpu": 2, "memory": {"request": "1Gi"}},
        "train_model": {"gpu": {}, "tolerations": [{"key": "gpu"}], "timeout": "2h", "spot": True},
    },
}


@pytest.mark.parametrize("changes", [{}, *({key: value} for key, value in SETTINGS.items()), SETTINGS])
def test_settings_are_no_evidence(project_text: Text, changes: dict[str, Any]) -> None:
    project = Project.parse(project_text(changes))
    assert project.canonical() == Project.parse(project_text()).canonical()
    # What blessings bound before there were settings.
    assert project.sha256() == "d98b860d9268074e235a6b706eb3229bf280e22792aec94a21711246aa8394d5"


def test_every_setting_is_a_key_of_its_document() -> None:
    for document in (Project, Contract, Policy):
        assert document.settings <= set(document.model_fields)
    assert set(SETTINGS) == Project.settings


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 100_000, '{"a": ' * 100_000])
def test_what_is_nested_too_deep_is_refused_and_ends_no_process(text: str) -> None:
    with pytest.raises(DamagedError, match="it is nested too deep"):
        Policy.parse(text, "policy.yaml")


def test_bytes_that_are_no_text_are_damage() -> None:
    with pytest.raises(DamagedError, match="is not UTF-8 text") as error:
        Policy.parse(b"\xff\xfe", "policy.yaml")
    assert error.value.file == "policy.yaml"
