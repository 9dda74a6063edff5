"""A condition's text written anew from what was understood of it, with everything left out that is not allowed.

What is written has the words of the text, in their order, and brackets around every part whose place an order of
precedence would decide. So it means to Polars what it was checked as.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from modelway.components.core.config.sql_grammar import AGGREGATES, DATE_PARTS, FUNCTIONS, SPANS, TYPES, Conditions
from modelway.components.core.config.sql_parser import Refusal, parse_condition, too_deep

ALLOWED = "columns, values, comparisons, arithmetic, CASE, CAST and the functions that docs/gates.md lists"
_SIZE = re.compile("0|[1-9][0-9]{0,5}", re.ASCII)
_SYNONYMS = {"!=": "<>", "==": "=", "REGEXP": "RLIKE", "~": "RLIKE", "FROM": ",", "FOR": ","}
# (how tightly it binds, the operator); the two sides of an operator bind more tightly than it, or have brackets.
_OPERATORS: dict[type[exp.Expr], tuple[int, str]] = {
    exp.Or: (1, "OR"),
    exp.And: (2, "AND"),
    **{kind: (4, sign) for kind, sign in ((exp.EQ, "="), (exp.NEQ, "<>"))},
    **{kind: (4, sign) for kind, sign in ((exp.LT, "<"), (exp.LTE, "<="), (exp.GT, ">"), (exp.GTE, ">="))},
    **{kind: (4, sign) for kind, sign in ((exp.Like, "LIKE"), (exp.ILike, "ILIKE"), (exp.RegexpLike, "RLIKE"))},
    **{kind: (5, sign) for kind, sign in ((exp.BitwiseAnd, "&"), (exp.BitwiseOr, "|"), (exp.DPipe, "||"))},
    **{kind: (6, sign) for kind, sign in ((exp.Add, "+"), (exp.Sub, "-"))},
    **{kind: (7, sign) for kind, sign in ((exp.Mul, "*"), (exp.Div, "/"), (exp.IntDiv, "//"), (exp.Mod, "%"))},
}
_BINDING: dict[type[exp.Expr], int] = {
    **{kind: binding for kind, (binding, _) in _OPERATORS.items()},
    **dict.fromkeys((exp.In, exp.Between, exp.Is), 4),
    **dict.fromkeys((exp.NullSafeEQ, exp.NullSafeNEQ), 0),  # to Polars, all that follows is its right side
    exp.Not: 3,
    exp.Neg: 8,
}
# Operators that follow one another without brackets, from the left.
_CHAINS = ((exp.Or,), (exp.And,), (exp.DPipe,), (exp.Add, exp.Sub), (exp.Mul, exp.Div, exp.IntDiv, exp.Mod))


def write_condition(text: str) -> str:
    """The SQL of a condition, written anew from what was understood of it.

    Args:
        text: A SQL expression over columns.

    Returns:
        SQL with the same meaning, of what ``sql_grammar`` lists alone.

    Raises:
        Refusal: it is no SQL expression, too long, or holds something that is not listed.
    """
    tree, tokens = parse_condition(text)
    try:
        written = _write(tree)
    except RecursionError:
        raise too_deep() from None
    for word, written_word in zip_longest(_words(tokens), _words(Conditions().tokenize(written))):
        if word != written_word:  # the parser left something out, or read it as something else
            piece = word if word is not None else written_word
            raise Refusal(f"holds {piece!r} where it is not understood", "write it in another way")
    return written


def _words(tokens: list[Token]) -> Iterator[str]:
    """The words of a text, without brackets and whatever quotes a name has; SQL's synonyms are one word."""
    before, zero = None, ""
    for token in tokens:
        kind, word = token.token_type, token.text.upper()
        if kind == TokenType.STRING and before == TokenType.INTERVAL:
            yield from re.findall(r"\d+|[^\W\d]+", word)
        elif kind == TokenType.STRING:
            yield f"'{token.text}"
        elif kind == TokenType.DOT:
            zero = "0."  # of .5
        elif kind not in {TokenType.L_PAREN, TokenType.R_PAREN}:
            yield zero + (word if kind in {TokenType.IDENTIFIER, TokenType.VAR} else _SYNONYMS.get(word, word))
            zero = ""
        before = kind


def _write(node: exp.Expr | None) -> str:
    """The SQL of a part."""
    if node is None:
        raise Refusal("is not a SQL expression: something is missing", "write both sides and all arguments")
    _check_keys(node)
    return _WRITERS[type(node)][0](node)


def _check_keys(node: exp.Expr) -> None:
    """Refuses a kind of part that is not listed, and one with an argument that its writer does not know."""
    _, keys = _WRITERS.get(type(node), (None, set()))
    if type(node) not in _WRITERS or any(
        value not in (None, [], False) for key, value in node.args.items() if key not in keys
    ):
        raise _not_allowed(node)


def _not_allowed(node: exp.Expr) -> Refusal:
    if isinstance(node, exp.Window | exp.WithinGroup):
        return Refusal(
            "holds a window function (OVER)", "set `per: table`, or `per: group` and `by`, and use aggregates"
        )
    if isinstance(node, exp.Star):
        return Refusal("holds `*`", "name the column; `*` stands in `COUNT(*)` alone")
    return Refusal(
        f"holds `{_piece(node)}`, which a rule may not",
        f"use {ALLOWED}",
    )


def _piece(node: exp.Expr) -> str:
    text = node.sql(dialect=Conditions)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _binding(node: exp.Expr) -> int:
    """How tightly a part is bound together: what is in brackets of the text, and whatever is not listed, the most."""
    while isinstance(node, exp.Paren) and not node.meta.get("written"):
        node = node.this
    return _BINDING.get(type(node), 9)


def _operand(node: exp.Expr | None, above: int) -> str:
    """The SQL of an operator's side, which must bind more tightly than the operator, or be in brackets."""
    if node is not None and _binding(node) <= above:
        raise Refusal(
            f"has no brackets around `{_piece(node)}`, so what belongs together is not certain",
            "put brackets around each part, such as `(a = b) IS NULL`",
        )
    text = _write(node)
    return text if node is None or _binding(node) == 9 else f"({text})"


def _operator(node: exp.Expr) -> str:
    """The SQL of an operator with two sides; of a chain of them without recursion."""
    binding, right = _OPERATORS[type(node)][0], list[str]()
    above = 7 if isinstance(node, exp.DPipe) else binding  # to Polars, || binds as tightly as *
    chain = next((kinds for kinds in _CHAINS if isinstance(node, kinds)), ())
    while True:
        right.append(f"{_sign(node)} {_operand(node.expression, above)}")
        left = node.this
        if type(left) not in chain:
            return " ".join([_operand(left, above), *reversed(right)])
        node = left


def _sign(node: exp.Expr) -> str:
    """An operator itself; Polars takes a pattern for what it is only where it is a text."""
    sign = _OPERATORS[type(node)][1]
    if isinstance(node, exp.Like | exp.ILike | exp.RegexpLike):
        pattern = node.expression
        if not isinstance(pattern, exp.Literal) or not pattern.is_string:
            raise Refusal(
                f"has {sign} without a pattern in quotes", f"write the pattern as a text, such as {sign} 'a%'"
            )
    return f"NOT {sign}" if node.args.get("negate") else sign


def _not(node: exp.Expr) -> str:
    inner = node.this
    if node.meta.get("in_front") or not isinstance(inner, exp.In | exp.Between | exp.Is):
        return f"NOT {_operand(inner, 3)}"
    left, word, right = _predicate(inner)
    return f"{left} IS NOT {right}" if word == "IS" else f"{left} NOT {word} {right}"


def _predicate(node: exp.Expr) -> tuple[str, str, str]:
    """The left side of IN, BETWEEN or IS, the word, and the rest."""
    _check_keys(node)
    left = _operand(node.this, 4)
    if isinstance(node, exp.In):
        return left, "IN", f"({', '.join(map(_write, node.expressions))})"
    if isinstance(node, exp.Between):
        return left, "BETWEEN", f"{_operand(node.args['low'], 4)} AND {_operand(node.args['high'], 4)}"
    if not isinstance(node.expression, exp.Null | exp.Boolean):
        raise _not_allowed(node)
    return left, "IS", _write(node.expression)


def _distinct_from(node: exp.Expr) -> str:
    word = "IS DISTINCT FROM" if isinstance(node, exp.NullSafeNEQ) else "IS NOT DISTINCT FROM"
    return f"{_operand(node.this, 4)} {word} {_operand(node.expression, 4)}"


def _column(node: exp.Expr) -> str:
    name = node.name
    identifier = node.this
    if not isinstance(identifier, exp.Identifier) or not (identifier.args.get("quoted") or name.isidentifier()):
        raise _not_allowed(node)
    if name == "*" or (name.startswith("^") and name.endswith("$")):
        raise Refusal(
            f"names the column {name!r}, which Polars takes for a pattern of names",
            "rename the column in the data and in the contract",
        )
    return quoted(name, '"')


def quoted(text: str, quote: str) -> str:
    """A text in quotes as SQL has them."""
    return f"{quote}{text.replace(quote, quote * 2)}{quote}"


def _literal(node: exp.Expr) -> str:
    text = str(node.this)
    if node.is_string:
        return quoted(text, "'")
    if not re.fullmatch(r"(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
        raise _not_allowed(node)
    return text


def _interval(node: exp.Expr) -> str:
    unit = node.args.get("unit")
    number = node.this
    if not isinstance(number, exp.Literal) or not isinstance(unit, exp.Var | None):
        raise _not_allowed(node)
    span = " ".join(filter(None, [str(number.this), "" if unit is None else str(unit.this)]))
    if not SPANS.fullmatch(span):
        raise Refusal(f"holds the interval {span!r}", "write it such as `INTERVAL '18 years'` or `INTERVAL '12 hours'`")
    return f"INTERVAL '{span}'"


def _type(node: exp.Expr) -> str:
    name = str(node.args.get("kind") or node.this.name).upper()
    sizes = [str(size.this.this) for size in node.expressions if isinstance(size.this, exp.Literal)]
    if name not in TYPES or len(sizes) != len(node.expressions) or not all(map(_SIZE.fullmatch, sizes)):
        raise Refusal(f"casts to the type {name}", f"cast to one of {', '.join(sorted(TYPES))}")
    if name in {"DECIMAL", "NUMERIC"} and sizes and not max(1, int(sizes[-1])) <= int(sizes[0]) <= 38:
        raise Refusal(f"casts to {name}({', '.join(sizes)})", "give it 38 digits at most, and no more behind the point")
    return f"{name}({', '.join(sizes)})" if sizes else name


def _cast(node: exp.Expr) -> str:
    kind = _type(node.args["to"])
    if node.meta.get("typed"):
        return f"{kind} {_write(node.this)}"
    if node.meta.get("colons"):
        return f"{_operand(node.this, 8)}::{kind}"
    word = "TRY_CAST" if isinstance(node, exp.TryCast) else "CAST"
    return f"{word}({_write(node.this)} AS {kind})"


def _case(node: exp.Expr) -> str:
    words = ["CASE"] if node.this is None else ["CASE", _operand(node.this, 0)]
    words += map(_write, node.args["ifs"])
    default = node.args.get("default")
    return " ".join([*words, *([] if default is None else ["ELSE", _operand(default, 0)]), "END"])


def _branch(node: exp.Expr) -> str:
    return f"WHEN {_operand(node.this, 0)} THEN {_operand(node.args.get('true'), 0)}"


def _function(node: exp.Expr) -> str:
    if not isinstance(node.this, str) or node.this.upper() not in FUNCTIONS:
        name = node.this if isinstance(node.this, str) else node.this.name
        raise Refusal(f"uses the function {name}, which a rule may not", "docs/gates.md lists the functions of rules")
    name, arguments = node.this.upper(), list(node.expressions)
    fewest, most = FUNCTIONS[name]
    if not fewest <= len(arguments) <= most:
        number = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        raise Refusal(f"gives {name} {len(arguments)} arguments", f"give it {number}")
    _check_arguments(name, arguments)
    if name == "COUNT" and isinstance(arguments[0], exp.Star):
        return f"{node.this}(*)"
    distinct = ""
    if name in AGGREGATES and isinstance(arguments[0], exp.Distinct):
        arguments, distinct = list(arguments[0].expressions), "DISTINCT "
        if len(arguments) != 1:
            raise Refusal(f"gives {name}(DISTINCT …) {len(arguments)} arguments", "give it 1")
    return f"{node.this}({distinct}{', '.join(map(_write, arguments))})"


def _check_arguments(name: str, arguments: list[exp.Expr]) -> None:
    """Refuses what Polars crashes on, and replacements that could make texts longer each time."""
    strings = [str(part.this) if isinstance(part, exp.Literal) and part.is_string else None for part in arguments]
    if name == "DATE_PART" and (strings[0] or "").upper() not in DATE_PARTS:
        raise _wrong_part(_piece(arguments[0]))
    if name == "SPLIT_PART" and not re.fullmatch(r"[1-9][0-9]{0,5}", str(arguments[2].this), re.ASCII):
        raise Refusal("has a SPLIT_PART whose last argument is no number", "number the part from 1, such as 2")
    if name in {"REPLACE", "REGEXP_REPLACE"}:
        old, new = strings[1:]
        longest = len(old or "") if name == "REPLACE" else 0
        if old is None or new is None or len(new) > longest:
            remedy = "replace one text by another in quotes that is no longer; REGEXP_REPLACE by the empty text ''"
            raise Refusal(f"has a {name} that could make texts longer", remedy)


def _wrong_part(part: str) -> Refusal:
    return Refusal(f"takes {part} of a date, which is no part of it", f"take one of {', '.join(sorted(DATE_PARTS))}")


def _extract(node: exp.Expr) -> str:
    part = node.this.name if isinstance(node.this, exp.Var) else ""
    if part.upper() not in DATE_PARTS:
        raise _wrong_part(_piece(node.this))
    return f"EXTRACT({part.upper()} FROM {_write(node.expression)})"


def _trim(node: exp.Expr) -> str:
    letters, position = node.args.get("expression"), node.args.get("position")
    words = [*([position] if position else []), *([] if letters is None else [_write(letters)])]
    return f"TRIM({' '.join([*words, *(['FROM'] if words else []), _write(node.this)])})"


def _filter(node: exp.Expr) -> str:
    function, where = node.this, node.expression
    if not isinstance(function, exp.Anonymous) or str(function.this).upper() not in AGGREGATES:
        raise Refusal("has FILTER beside what is no aggregate", "write FILTER behind an aggregate")
    return f"{_write(function)} FILTER (WHERE {_write(where.this)})"


def _substring(node: exp.Expr) -> str:
    parts = [node.args.get(key) for key in ("this", "start", "length")]
    return f"SUBSTRING({', '.join(_write(part) for part in parts if part is not None)})"


def _position(node: exp.Expr) -> str:
    return f"POSITION({_write(node.args['substr'])} IN {_write(node.this)})"


_BINARY = {"this", "expression"}
# What writes each kind of part, and which of its arguments that writer knows.
_WRITERS: dict[type[exp.Expr], tuple[Callable[[Any], str], set[str]]] = {
    **{kind: (_operator, _BINARY | {"negate", "safe", "typed"}) for kind in _OPERATORS},
    **dict.fromkeys((exp.NullSafeEQ, exp.NullSafeNEQ), (_distinct_from, _BINARY)),
    exp.In: (lambda node: " ".join(_predicate(node)), {"this", "expressions"}),
    exp.Between: (lambda node: " ".join(_predicate(node)), {"this", "low", "high"}),
    exp.Is: (lambda node: " ".join(_predicate(node)), _BINARY),
    exp.Not: (_not, {"this"}),
    exp.Neg: (lambda node: f"-{_operand(node.this, 8)}", {"this"}),
    exp.Paren: (lambda node: f"({_write(node.this)})", {"this"}),
    exp.Column: (_column, {"this"}),
    exp.Literal: (_literal, {"this", "is_string"}),
    exp.Boolean: (lambda node: "TRUE" if node.this else "FALSE", {"this"}),
    exp.Null: (lambda _: "NULL", set()),
    exp.Interval: (_interval, {"this", "unit", "fraction_in_string"}),
    **dict.fromkeys((exp.Cast, exp.TryCast), (_cast, {"this", "to", "safe"})),
    exp.Case: (_case, {"this", "ifs", "default"}),
    exp.If: (_branch, {"this", "true"}),
    exp.Anonymous: (_function, {"this", "expressions"}),
    exp.Filter: (_filter, _BINARY),
    exp.Extract: (_extract, _BINARY),
    exp.Trim: (_trim, {*_BINARY, "position"}),
    exp.StrPosition: (
        lambda node: f"POSITION({_write(node.args['substr'])} IN {_write(node.this)})",
        {"this", "substr"},
    ),
    exp.Substring: (_substring, {"this", "start", "length"}),
    exp.CurrentDate: (lambda _: "CURRENT_DATE", set()),
    exp.CurrentTime: (lambda _: "CURRENT_TIME", set()),
    exp.CurrentTimestamp: (lambda _: "CURRENT_TIMESTAMP", set()),
}
