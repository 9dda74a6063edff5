"""Attacks by one who may change contract.yaml or policy.yaml in a pull request, and not what runs them.

Polars evaluates table functions and subqueries of SQL while it parses them: so a rule could read the key files and
the network of the machine that checks the pull request, and print what it read in the error.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

import modelway.components
from modelway.components.core.config.contract import Contract, RowRule
from modelway.components.core.config.expressions import parse_expression
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.row_rules import check_rules, rule_condition
from modelway.components.core.config.sql_grammar import MOST_BRACKETS, MOST_LETTERS, MOST_PARTS
from modelway.components.core.errors import ModelwayError
from modelway.components.resolve.consistency import check_consistency
from modelway.pipelines.project.workspace import Workspace

SECRET = "AGE-SECRET-KEY-1QQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
COLUMNS = {"paid": {"type": "number"}, "city": {"type": "string"}, "ill": {"type": "boolean"}}
SCHEMA = pl.Schema({"paid": pl.Float64(), "city": pl.String(), "ill": pl.Boolean()})
READERS = ("read_csv", "read_parquet", "read_json", "read_ndjson", "read_ipc", "scan_csv", "scan_parquet", "scan_ipc")
QUERY = "(SELECT MAX(q) FROM read_csv('{place}'))"
# Where a query could stand: in every clause, at any depth, and hidden from one who looks for its words.
HIDDEN = [
    f"{QUERY} = 'x'",
    "paid IN (SELECT q FROM read_csv('{place}'))",
    "NOT EXISTS (SELECT 1 FROM read_csv('{place}'))",
    f"CASE WHEN {QUERY} = 'x' THEN TRUE END",
    f"CASE {QUERY} WHEN 'x' THEN TRUE ELSE ill END",
    f"CASE WHEN ill THEN {QUERY} ELSE 'x' END = 'x'",
    f"COALESCE(city, {QUERY}) = 'x'",
    f"LENGTH(UPPER(LOWER(TRIM({QUERY})))) > 1",
    f"CAST({QUERY} AS DATE) IS NULL",
    f"{QUERY}::int > 1",
    f"EXTRACT(YEAR FROM {QUERY}) > 1",
    f"SUM(paid) FILTER (WHERE {QUERY} = 'x') > 1",
    f"SUM({QUERY}) > 1",
    f"COUNT(DISTINCT {QUERY}) > 1",
    f"paid BETWEEN {QUERY} AND 2",
    f"city LIKE {QUERY}",
    f"-{QUERY} < 1",
    f"NOT {QUERY}",
    f"paid IN (1, 2, {QUERY})",
    f"POSITION('x' IN {QUERY}) > 0",
    f"SUBSTRING({QUERY} FROM 1 FOR 2) = 'x'",
    f"SUM(paid) OVER (PARTITION BY {QUERY}) > 1",
    f"SUM(paid) OVER (ORDER BY {QUERY}) > 1",
    f"paid > ALL {QUERY}",
    f"paid = ANY {QUERY}",
    f"((((((((((({QUERY}))))))))))) = 'x'",
    "(/* paid */SELECT/**/MAX(q)/**/FROM/**/read_csv('{place}')) = 'x'",
    "(--\nSELECT MAX(q) FROM read_csv('{place}')) = 'x'",
    "'a''' = (SELECT MAX(q) FROM read_csv('{place}')) OR 'b' = 'c'",
    '"a""" = (SELECT MAX(q) FROM read_csv(\'{place}\')) OR paid > 1',
    "'\\' = (SELECT MAX(q) FROM read_csv('{place}')) OR city = '\\'",
    "$$'$$ = (SELECT MAX(q) FROM read_csv('{place}')) OR city = $$'$$",
    "E'\\'' = (SELECT MAX(q) FROM read_csv('{place}')) OR city = ''",
    "(WITH t AS (SELECT MAX(q) FROM read_csv('{place}')) SELECT * FROM t) = 'x'",
    "(SELECT MAX(q) FROM read_csv('{place}') UNION SELECT 1) = 'x'",
    "(FROM read_csv('{place}')) = 'x'",
    "(TABLE read_csv('{place}')) = 'x'",
    "(VALUES (read_csv('{place}'))) = 'x'",
    "(select max(q) from READ_CSV('{place}')) = 'x'",
    "ill; SELECT * FROM read_csv('{place}')",
    "ill AS x, (SELECT MAX(q) FROM read_csv('{place}'))",
    "ARRAY(SELECT q FROM read_csv('{place}')) = 'x'",
    "{{'a': (SELECT MAX(q) FROM read_csv('{place}'))}} = 'x'",
    "paid[(SELECT MAX(q) FROM read_csv('{place}'))] = 'x'",
    "INTERVAL (SELECT MAX(q) FROM read_csv('{place}')) DAY > 1",
    "IF((SELECT MAX(q) FROM read_csv('{place}')) = 'x', ill, ill)",
    *(QUERY.replace("read_csv", reader) + " = 'x'" for reader in READERS),
    *(f"{reader}('{{place}}') = 'x'" for reader in READERS),
]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "encryption"
    file.write_text(f"q\n{SECRET}\n", encoding="utf-8")
    return file


@dataclass(frozen=True)
class Server:
    """A web server inside the network, in a process of its own: Polars holds this one while it waits for an answer."""

    address: str
    log: Path

    def requests(self) -> str:
        return self.log.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with (folder / "log").open("a") as log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process:
        assert process.stdout is not None
        port = re.search(rb"port (\d+)", process.stdout.readline())
        assert port is not None
        yield Server(f"http://127.0.0.1:{port[1].decode()}/table", folder / "log")
        process.kill()


def contract_of(text: str, per: str = "row") -> Contract:
    """A contract with a rule, through its text as a user's file is read."""
    rule = {"name": "r", "rule": text, "per": per, **({"by": ["city"]} if per == "group" else {})}
    return Contract.parse(yaml.safe_dump({"columns": COLUMNS, "rules": [rule]}))


def refusal_of(text: str, per: str = "row") -> ModelwayError:
    with pytest.raises(ModelwayError) as error:
        check_rules(contract_of(text, per), "contract.yaml")
    assert (error.value.file, error.value.key) == ("contract.yaml", "rules.r")
    assert "the rule 'r'" in error.value.message
    assert len(error.value.remedy) > 10
    return error.value


@pytest.mark.parametrize("per", ["row", "table"])
@pytest.mark.parametrize("text", HIDDEN)
def test_a_rule_reads_no_file(text: str, per: str, key_file: Path) -> None:
    error = refusal_of(text.format(place=key_file), per)
    assert SECRET not in json.dumps(error.fields())


@pytest.mark.parametrize("text", HIDDEN)
def test_a_rule_makes_no_request(text: str, server: Server) -> None:
    refusal_of(text.format(place=server.address))
    assert server.requests() == ""


@pytest.mark.parametrize("text", HIDDEN[:12] + HIDDEN[-2 * len(READERS) :: 5])
def test_a_condition_of_the_policy_is_refused_before_anything_runs(
    text: str, key_file: Path, small: Path, edit: Callable[..., None]
) -> None:
    rule = {"name": "r", "within": {"max": 1}, "where": text.format(place=key_file)}
    edit(small / "policy.yaml", {"model.rules": [rule]})
    workspace = Workspace.load(small)
    with pytest.raises(ModelwayError) as error:
        check_consistency(workspace.files, workspace.names())
    assert error.value.key == "model.rules.r.where"
    assert "policy.yaml" in str(error.value.file)
    assert SECRET not in json.dumps(error.value.fields())


def test_reading_a_document_calls_no_sql(monkeypatch: pytest.MonkeyPatch, key_file: Path) -> None:
    def fail(_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(pl, "sql_expr", fail)
    text = QUERY.format(place=key_file) + " = 'x'"
    assert contract_of(text).rules[0].rule == text
    rules = [{"name": "r", "within": {"max": 1}, "where": text}]
    metrics = {"roc_auc": {"min": 0.7}}
    policy = Policy.parse(yaml.safe_dump({"model": {"metrics": metrics, "rules": rules}}))
    assert policy.model.rules[0].where == text


@pytest.mark.parametrize("options", [("resolve", "--json"), ("run",)])
def test_no_command_prints_a_key(
    options: tuple[str, ...], key_file: Path, server: Server, small: Path, edit: Callable[..., None]
) -> None:
    texts = [QUERY.format(place=place) + " = 'x'" for place in (key_file, server.address)]
    rules = [{"name": f"r{number}", "rule": text} for number, text in enumerate(texts)]
    edit(small / "contract.yaml", {"rules": rules if len(options) == 1 else rules[::-1]})
    command, *others = options
    arguments = [command, str(small), "--home", str(small / "home"), *others]
    ran = subprocess.run(
        [sys.executable, "-m", "modelway.pipelines.cli", *arguments], capture_output=True, text=True, check=False
    )
    output = ran.stdout + ran.stderr
    assert ran.returncode == 2, output
    assert "holds a query (SELECT)" in " ".join(output.split())
    assert SECRET not in output
    assert "Traceback" not in output
    assert server.requests() == ""
    assert not any(SECRET in file.read_text(errors="replace") for file in small.rglob("*") if file.is_file())


def nested(pattern: str, levels: int, core: str = "paid") -> str:
    before, after = pattern.split("{}")
    return before * levels + core + after * levels


LARGE = {
    "20,000 terms": " OR ".join(["paid = 1"] * 20_000),
    "5,000 terms": " AND ".join(["paid > 1"] * 5_000),
    "a sum of 1,900": "+".join(["1"] * 1_900) + " > paid",
    "400 terms": " OR ".join(["ill"] * 400),
    "brackets": nested("({})", 30_000) + " > 1",
    "500 brackets": nested("({})", 500) + " > 1",
    "brackets left open": "(" * 3_900,
    "functions": nested("ABS({})", 500) + " > 1",
    "cases": nested("CASE WHEN ill THEN {} END", 100) + " > 1",
    "cases left open": "CASE " * 700,
    "casts": "paid" + "::float" * 500 + " > 1",
    "casts that are few enough": "paid" + "::float" * 450 + " > 1",
    "minuses": "- " * 1_900 + "paid > 1",
    "nots": "NOT " * 900 + "ill",
    "square brackets": "[" * 3_000,
    "braces": "{" * 3_000,
    "intervals": "INTERVAL " * 400 + "'1 day'",
    "dates": "DATE " * 700 + "'2024-01-01'",
    "comments": "/*" * 1_900,
    "lists": nested("(paid IN (1, {}))", 100),
    "a long text": f"city = '{'x' * 100_000}'",
    "a long name": f'"{"x" * 100_000}" = 1',
    "a long number": "paid = " + "9" * 3_900,
    # What Polars copies: 15 of these inside each other took hours.
    "copied texts": nested("LEFT({}, paid)", 15, "city") + " = 'x'",
    "copied values": nested("NULLIF({}, 1)", 19) + " = 1",
    "copied lists": nested("({} IN (paid, paid, paid, paid, paid, paid))", 12, "ill"),
    "copied bounds": nested("({} BETWEEN FALSE AND TRUE)", 19, "ill"),
    "copied cases": nested("CASE {} WHEN 1 THEN 1 WHEN 2 THEN 2 END", 15) + " = 1",
    "copied sums": nested("SUM({})", 19) + " = 1",
    # What makes texts longer: each level of these multiplies their length.
    "longer texts": nested("REPLACE({}, 'a', 'aaaaaaaaaaaaaaaaaaaa')", 15, "city") + " = 'x'",
    "longer matches": nested("REGEXP_REPLACE({}, '', 'aaaaaaaaaaaaaaaaaaaa')", 15, "city") + " = 'x'",
    "padding": "LPAD(city, 2000000000, 'x') = 'x'",
}


@pytest.mark.parametrize("name", LARGE)
def test_what_is_too_large_is_refused_at_once(name: str) -> None:
    start = time.process_time()
    refusal_of(LARGE[name], "table" if "sums" in name else "row")
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "text",
    [
        "paid > 1\0",
        "paid\x08 > 1",
        "city = '\x1b[2J'",
        "city = '\u202e'",
        "paid > 1 \u2028",
        '"\x00" = 1',
        "\ufeffpaid > 1",
    ],
)
def test_characters_that_do_not_show_are_refused(text: str) -> None:
    with pytest.raises(ModelwayError, match="which cannot be printed") as error:
        parse_expression(text, name="the rule 'r'", key="rules.r")
    assert error.value.key == "rules.r"


@pytest.mark.parametrize("name", ["*", "^.*$", "^p.*$"])
def test_a_name_is_no_pattern_of_names(name: str) -> None:
    """Polars takes such a name for all columns that match."""
    assert "takes for a pattern of names" in refusal_of(f'"{name}" > 1').message
    assert "uses the function COLUMNS" in refusal_of(f"COLUMNS('{name}') > 1").message


GREATEST = {
    "terms": " OR ".join(["paid = 1"] * (MOST_PARTS // 4)),
    "sum": "+".join(["paid"] * (MOST_PARTS // 2 - 2)) + " > 1",
    "joined": "||".join(["city"] * (MOST_PARTS // 2 - 2)) + " > 'x'",
    "brackets": nested("({})", MOST_BRACKETS) + " > 1",
    "functions": nested("ABS({})", MOST_BRACKETS) + " > 1",
    "branches": "CASE " + "WHEN paid = 1 THEN ill " * (MOST_PARTS // 6) + "END",
    "list": f"paid IN ({', '.join(['1'] * ((MOST_LETTERS - 20) // 3))})",
}


@pytest.mark.parametrize("name", GREATEST)
def test_the_greatest_rules_are_evaluated_on_a_small_stack(name: str) -> None:
    """Against a limit that lets a rule overflow a stack: half a megabyte is a sixteenth of a thread's."""
    rule = RowRule(name="r", rule=GREATEST[name])
    table = pl.DataFrame({"paid": [1.0, None], "city": ["x", None], "ill": [True, None]}, schema=SCHEMA)
    results: list[Any] = []

    def evaluate() -> None:
        results.append(table.lazy().select(rule_condition(rule, SCHEMA).alias("holds")).collect()["holds"].to_list())

    start, before = time.process_time(), threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=evaluate)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert results
    assert results[0] is not None
    assert time.process_time() - start < 20


def test_polars_itself_reads_what_it_parses(tmp_path: Path, server: Server) -> None:
    """Against tests of the above that could not fail."""
    with pytest.raises(FileNotFoundError):
        pl.sql_expr(QUERY.format(place=tmp_path / "no such file"))
    with pytest.raises(Exception, match=re.compile("404|not found", re.IGNORECASE)):
        pl.sql_expr(QUERY.format(place=f"{server.address}.parquet").replace("read_csv", "read_parquet"))
    assert "/table.parquet" in server.requests()
    server.log.write_text("")


def test_there_is_no_other_way_to_sql() -> None:
    """Against a later change that hands a user's text to Polars, or evaluates it, beside the one function."""
    package = Path(modelway.components.__path__[0])
    roots = [package, package.parent / "pipelines", package.parent / "examples"]
    calls = re.compile(r"sql_expr|SQLContext|\.sql\(|(?<![\w.])(?:eval|exec)\(")
    uses = {
        file.name: calls.findall(file.read_text(encoding="utf-8"))
        for root in roots
        for file in root.rglob("*.py")
        if calls.search(file.read_text(encoding="utf-8"))
    }
    assert uses == {"expressions.py": ["sql_expr"], "sql_writer.py": [".sql("]}  # sqlglot's own, for a message
