from __future__ import annotations

import pytest
from sqlglot import exp

from modelway.components.core.config.sql_grammar import MOST_BRACKETS, MOST_LETTERS, MOST_PARTS
from modelway.components.core.config.sql_parser import Refusal, parse_condition


def many(part: str, number: int, joint: str) -> str:
    return joint.join([part] * number)


@pytest.mark.parametrize(
    ("largest", "larger", "says"),
    [
        ("a" * MOST_LETTERS, "a" * (MOST_LETTERS + 1), "4,001 characters"),
        ("(" * MOST_BRACKETS + "a" + ")" * MOST_BRACKETS, "(" * 21 + "a" + ")" * 21, "nested deeper than 20 levels"),
        (many("a", MOST_PARTS // 2, "+"), many("a", MOST_PARTS // 2 + 1, "+"), "more than 500 parts"),
        (f"a IN ({many('1', 1000, ', ')})", f"a IN ({many('a', 1000, ', ')})", "more than 500 parts"),
        (many("(a = 1)", 100, " OR "), many("(a = 1)", 101, " OR "), "more than 500 parts"),
        ("LEFT(LEFT(LEFT(t, a), a), a)", "LEFT(" * 6 + "t" + ", a)" * 6, "more than 500 parts"),
    ],
)
def test_the_limits_are_what_they_say(largest: str, larger: str, says: str) -> None:
    tree, tokens = parse_condition(largest)
    assert isinstance(tree, exp.Expr)
    assert tokens
    with pytest.raises(Refusal) as refusal:
        parse_condition(larger)
    assert says in refusal.value.problem
    assert refusal.value.remedy


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a >", "something is missing at 'a >'"),
        ("(a > 1", "something is missing at '(a > 1'"),
        ("a > 1)", "')' is not expected after 'a > 1'"),
        ("a AND", "something is missing at 'a AND'"),
        ("a = 'b", "a quote or a comment is not closed"),
    ],
)
def test_an_error_says_where(text: str, place: str) -> None:
    with pytest.raises(Refusal) as refusal:
        parse_condition(text)
    assert place in refusal.value.problem
