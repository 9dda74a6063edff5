from __future__ import annotations

import datetime as dt
import math

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from properties import bounded

from modelway.components.core.config.expressions import parse_expression
from modelway.components.core.config.sql_grammar import MOST_LETTERS
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


@bounded(400)
@given(st.one_of(st.text(max_size=200), st.text(st.sampled_from(LETTERS), max_size=60)))
@example("(" * MOST_LETTERS)
@example("NOT " * (MOST_LETTERS // 4))
def test_any_text_is_an_expression_or_an_error_of_ours(text: str) -> None:
    try:
        expression = parse_expression(text, name="the rule 'r'", key="rules.r")
    except ModelwayError as error:
        assert (error.key, bool(error.remedy)) == ("rules.r", True)  # noqa: PT017 - either is right
    else:
        assert isinstance(expression, pl.Expr)
