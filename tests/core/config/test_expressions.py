from __future__ import annotations

import datetime as dt
import math
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from properties import bounded

from modelway.components.core.config.expressions import parse_expression
from modelway.components.core.config.sql_grammar import AGGREGATES, COPIES, DATE_PARTS, FUNCTIONS, MOST_LETTERS, TYPES
from modelway.components.core.config.sql_parser import Refusal
from modelway.components.core.config.sql_writer import write_condition
from modelway.components.core.errors import ModelwayError

TABLE = pl.DataFrame(
    {
        "a": [1, -2, None, 0, 7],
        "b": [3, None, 5, 0, -7],
        "x": [0.5, math.nan, None, -0.0, 1e300],
        "t": ["north", "", None, "a%b_c", "Köln"],
        "p": [True, False, None, True, False],
        "q": [False, None, None, True, True],
        "d": [dt.date(2024, 2, 29), None, dt.date(1969, 12, 31), dt.date(2030, 1, 1), dt.date(2000, 1, 1)],
        "s": [dt.datetime(2024, 2, 29, 23, 59), None, *[dt.datetime(2024, 1, day) for day in (1, 2, 3)]],
    }
)
# The shipped example's, those of the documents and of other tests, and one of each thing that a rule may hold.
AS_BEFORE = [
    "deductible_plan OR log_coinsurance = 0 OR log_max_expenditure > 0",
    "birth <= CURRENT_DATE",
    "consent",
    "AVG(paid) < 500",
    "age > 60",
    "region = 'north' OR income > 1",
    "NOT active OR age >= 20",
    "age BETWEEN 20 AND 40 AND id LIKE '%1'",
    "day >= DATE '2024-02-01'",
    "plan = 'gold' OR plan IS NULL",
    "MAX(paid) < 30 AND MIN(paid) > 0",
    "SUM(paid) / COUNT(*) > 1",
    "COUNT(DISTINCT region) >= 4",
    "COUNT(*) FILTER (WHERE plan = 'gold') > 100",
    "QUANTILE_CONT(paid, 0.5) > 1",
    "born <= CURRENT_DATE - INTERVAL '18' YEAR",
    "born <= CURRENT_DATE - INTERVAL '18 years'",
    "left_at - arrived < INTERVAL '1 day 12 hours'",
    "EXTRACT(YEAR FROM born) >= 1900",
    "DATE_PART('dow', born) <> 0",
    "born <= CAST(seen AS DATE)",
    "seen::date = born",
    "TRY_CAST(code AS INTEGER) > 0",
    "CAST(paid AS DECIMAL(10, 2)) = paid",
    "CASE WHEN visits > 1 THEN paid > 0 ELSE TRUE END",
    "CASE plan WHEN 'gold' THEN 1 WHEN 'silver' THEN 2 END = tier",
    "a + b - c * d / e // f % g > -1.5e3",
    "a <> b AND c != d AND e == f",
    "a NOT IN (1, -2, NULL) AND b NOT BETWEEN 1 AND 2 AND c NOT LIKE 'x' AND d IS NOT NULL",
    "NOT a IN (1) AND NOT (b OR c)",
    "a IS DISTINCT FROM b",
    "a IS NOT TRUE OR b IS FALSE",
    "(a IS NULL) = (b IS NULL)",
    "code RLIKE '^[A-Z]' AND code ~ 'x' AND code REGEXP 'y' AND code ILIKE 'Z%'",
    "first || ' ' || last = name",
    "flags & 4 = 4",
    'name = \'it\'\'s\' AND "two words" > 1 AND `three little words` > 1 AND "a""b" > 1 AND größe > 1',
    "TRIM(BOTH ' ' FROM a) = POSITION('x' IN b) AND SUBSTRING(c FROM 2 FOR 3) = SUBSTRING(c, 2, 3)",
    "date > time AND timestamp < datetime AND rows = user_id",
    "a > 1 -- more than one\nAND /* and */ b > .5",
    "LENGTH(REPLACE(phone, ' ', '')) = 10 AND REGEXP_REPLACE(phone, '[^0-9]', '') = phone",
    "a > 9223372036854775808",
]


@pytest.mark.parametrize("text", AS_BEFORE)
def test_what_is_written_means_to_polars_what_the_text_means(text: str) -> None:
    written = write_condition(text)
    assert str(pl.sql_expr(written)) == str(pl.sql_expr(text))
    assert write_condition(written) == written


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


@pytest.mark.parametrize(
    ("text", "says", "remedy"),
    [
        ("", "is empty", "leave it out"),
        ("age >", "something is missing at 'age >'", "at that place"),
        ("a b", "'b' is not expected after 'a '", "at that place"),
        ("name = 'it", "a quote or a comment is not closed", "at that place"),
        ("a > 1; b > 1", "holds a semicolon", "one condition"),
        ("SUM(a) OVER (PARTITION BY b) > 1", "a window function (OVER)", "per: table"),
        ("md5(a) = 'x'", "uses the function md5", "docs/gates.md"),
        ("ROUND(a, 1, 2) = 1", "gives ROUND 3 arguments", "give it 1 to 2"),
        ("CAST(a AS JSON) = 1", "casts to the type JSON", "BOOLEAN"),
        ("CAST(a AS DECIMAL(39)) = 1", "casts to DECIMAL(39)", "38 digits"),
        ("EXTRACT(ERA FROM a) = 1", "takes ERA of a date", "YEAR"),
        ("a - INTERVAL '1 light year' > b", "the interval '1 LIGHT'", "'18 years'"),
        ("a IS NULL = b", "no brackets around", "(a = b) IS NULL"),
        ("a || b + c = 'x'", "no brackets around `b + c`", "put brackets"),
        ("a LIKE b", "LIKE without a pattern in quotes", "LIKE 'a%'"),
        ("SUM(*) > 1", "holds `*`", "COUNT(*)"),
        ("t.a > 1", "holds `t.a`", "use columns, values"),
        ("a BETWEEN 1 2", "holds '2' where it is not understood", "another way"),
        ("REPLACE(a, 'x', 'yy') = 'x'", "could make texts longer", "no longer"),
        ("SPLIT_PART(a, '-', b) = 'x'", "whose last argument is no number", "from 1"),
        ("ABS(a) FILTER (WHERE b) > 1", "FILTER beside what is no aggregate", "behind an aggregate"),
    ],
)
def test_a_refusal_says_what_and_what_instead(text: str, says: str, remedy: str) -> None:
    with pytest.raises(ModelwayError) as error:
        parse_expression(text, name="the rule 'r'", key="rules.r")
    assert error.value.message.startswith("the rule 'r' ")
    assert says in error.value.message
    assert remedy in error.value.remedy
    assert (error.value.key, error.value.value) == ("rules.r", text or None if text else "")


OPERATORS = ["=", "<>", "<", "<=", ">", ">=", "LIKE", "ILIKE", "NOT LIKE", "IS DISTINCT FROM"]
OPERATORS += ["+", "-", "*", "/", "%", "//", "||", "&", "|", "AND", "OR"]
ATOMS = [
    *("a", "b", "x", "t", "p", "q", "d", "s", "1", "2.5", ".5", "'n%'", "NULL", "TRUE", "LENGTH(t)", "COALESCE(a, b)"),
    *("a::int", "CURRENT_DATE", "DATE '2024-01-01'", "INTERVAL '1 day'", "EXTRACT(YEAR FROM d)"),
    "CASE WHEN p THEN a END",
]
AFTER = ["IS NULL", "IS NOT NULL", "IS TRUE", "IN (1, 2)", "NOT IN (1, a)", "BETWEEN 0 AND 3", "NOT BETWEEN a AND b"]


@st.composite
def flat(draw: st.DrawFn, depth: int = 2) -> str:
    """Operands and operators in a row, with few brackets: what an order of precedence decides about."""
    words: list[str] = []
    for place in range(draw(st.integers(1, 5))):
        words += [draw(st.sampled_from(OPERATORS))] if place else []
        words += draw(st.sampled_from([[], [], [], ["NOT"], ["-"]]))
        in_brackets = depth > 0 and draw(st.integers(0, 5)) == 0
        words.append(f"({draw(flat(depth - 1))})" if in_brackets else draw(st.sampled_from(ATOMS)))
        words += draw(st.sampled_from([[], [], [], [draw(st.sampled_from(AFTER))]]))
    if draw(st.integers(0, 9)) == 0:
        del words[draw(st.integers(0, len(words) - 1))]
    return " ".join(words)


@bounded(600)
@given(flat())
def test_whatever_order_of_precedence_is_the_same(text: str) -> None:
    """Against a parser that reads what belongs together in another way than Polars does."""
    try:
        written = write_condition(text)
    except Refusal:
        return
    try:
        expected = str(pl.sql_expr(text))
    except pl.exceptions.PolarsError:
        with pytest.raises(pl.exceptions.PolarsError):
            pl.sql_expr(written)
        return
    if "CURRENT_DATE" not in text or dt.datetime.now(dt.UTC).time() > dt.time(0, 1):
        assert str(pl.sql_expr(written)) == expected


Truth = bool | None


@st.composite
def condition(draw: st.DrawFn, depth: int = 4) -> tuple[str, list[Truth]]:  # noqa: PLR0911
    """A condition in brackets and what SQL's three-valued logic says of each row."""
    kinds = ["column", "compare", "null", "in"] if depth == 0 else ["and", "or", "not", "compare", "case"]
    kind = draw(st.sampled_from(kinds))
    if kind == "column":
        name = draw(st.sampled_from(["p", "q"]))
        return name, TABLE[name].to_list()
    if kind == "compare":
        number, sign = draw(st.integers(-3, 8)), draw(st.sampled_from(["=", "<>", "<", ">="]))
        compare = {"=": int.__eq__, "<>": int.__ne__, "<": int.__lt__, ">=": int.__ge__}[sign]
        name = draw(st.sampled_from(["a", "b"]))
        return f'"{name}" {sign} {number}', [None if v is None else bool(compare(v, number)) for v in TABLE[name]]
    if kind == "null":
        return "t IS NULL", [value is None for value in TABLE["t"]]
    if kind == "in":
        numbers = draw(st.lists(st.integers(-2, 7), min_size=1, max_size=4))
        return f"a IN ({', '.join(map(str, numbers))})", [None if v is None else v in numbers for v in TABLE["a"]]
    left, lefts = draw(condition(depth=depth - 1))
    if kind == "not":
        return f"NOT ({left})", [None if value is None else not value for value in lefts]
    right, rights = draw(condition(depth=depth - 1))
    pairs = list(zip(lefts, rights, strict=True))
    if kind == "case":
        return f"CASE WHEN {left} THEN ({right}) ELSE FALSE END", [then if when else False for when, then in pairs]
    decisive = kind == "or"
    truths = [decisive if decisive in pair else None if None in pair else not decisive for pair in pairs]
    return f"({left}) {kind.upper()} ({right})", truths


@bounded(150)
@given(condition())
def test_a_condition_is_what_three_valued_logic_says(condition_and_truths: tuple[str, list[Truth]]) -> None:
    text, truths = condition_and_truths
    expression = parse_expression(text, name="the rule 'r'", key="rules.r")
    assert TABLE.lazy().select(expression.alias("holds")).collect()["holds"].to_list() == truths


LETTERS = "ab1.'\"`()[]{},;:*/-+<>=!|&%~$@#?\\ \n\t\0é\u202e\ud800NOTCASEWHENENDINIS"
SHUFFLED = flat().flatmap(lambda text: st.permutations(text.split()).map(" ".join))


@bounded(400)
@given(st.one_of(st.text(max_size=200), st.text(st.sampled_from(LETTERS), max_size=60), SHUFFLED))
@example("(" * MOST_LETTERS)
@example("NOT " * (MOST_LETTERS // 4))
def test_any_text_is_an_expression_or_an_error_of_ours(text: str) -> None:
    try:
        expression = parse_expression(text, name="the rule 'r'", key="rules.r")
    except ModelwayError as error:
        assert (error.key, bool(error.remedy)) == ("rules.r", True)  # noqa: PT017 - either is right
    else:
        assert isinstance(expression, pl.Expr)


@bounded(150)
@given(st.text(max_size=40), st.text(min_size=1, max_size=40))
def test_any_text_in_quotes_is_that_text(text: str, name: str) -> None:
    """Against a quote, a backslash or a comment that ends a text or a name early."""
    quoted_text, quoted_name = (value.replace(mark, mark * 2) for value, mark in ((text, "'"), (name, '"')))
    try:
        expression = parse_expression(f"\"{quoted_name}\" = '{quoted_text}'", name="the rule 'r'", key="rules.r")
    except ModelwayError as error:
        assert "cannot be printed" in error.message or "pattern of names" in error.message  # noqa: PT017
        return
    assert expression.meta.root_names() == [name]
    assert pl.select(pl.lit(text).alias(name)).select(expression.alias("holds")).item() is True
