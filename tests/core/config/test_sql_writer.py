from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import bounded

from modelway.components.core.config.expressions import parse_expression
from modelway.components.core.config.sql_parser import Refusal
from modelway.components.core.config.sql_writer import write_condition
from modelway.components.core.errors import ModelwayError

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
