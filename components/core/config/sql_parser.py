"""A condition's text parsed by sqlglot, once its length and its nesting are known to be small.

Everything here that looks at the text does so without recursion, before anything that recurses.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from modelway.components.core.config.sql_grammar import COPIES, MOST_BRACKETS, MOST_LETTERS, MOST_PARTS, Conditions


class Refusal(Exception):  # noqa: N818 - whose rule it is, the caller says
    """Why a text is no condition that a rule may hold.

    Attributes:
        problem: What is wrong, in words that follow the rule's name.
        remedy: What to do about it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


def parse_condition(text: str) -> tuple[exp.Expr, list[Token]]:
    """The tree of a condition and the tokens that it was parsed from.

    Raises:
        Refusal: it is no SQL expression, a query, or too large to be parsed and evaluated safely.
    """
    if len(text) > MOST_LETTERS:
        raise Refusal(
            f"is {len(text):,} characters long; {MOST_LETTERS:,} is the most",
            "write several rules of one condition each, or `IN (…)` for a list of values",
        )
    odd = next((letter for letter in text if not (letter.isprintable() or letter in " \t\r\n\u00a0")), None)
    if odd is not None:
        raise Refusal(f"holds the character U+{ord(odd):04X}, which cannot be printed", "leave the character out")
    dialect = Conditions()
    try:
        tokens = dialect.tokenize(text)
        _check_brackets(tokens)
        (tree,) = dialect.parser().parse_into(exp.Condition, tokens, text)
    except RecursionError:
        raise too_deep() from None
    except (ParseError, TokenError, ValueError) as error:
        raise Refusal(f"is not a SQL expression{_place(error)}", "correct the SQL at that place") from None
    if not isinstance(tree, exp.Expr):
        raise Refusal("is empty", "write a condition, or leave it out")
    _check_size(tree)
    return tree, tokens


def _place(error: Exception) -> str:
    """Where the parser stopped, in the text's own words."""
    if isinstance(error, TokenError):
        return ": a quote or a comment is not closed"
    details = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
    before, piece = str(details.get("start_context") or "")[-30:], str(details.get("highlight") or "")
    if not piece:
        return ""
    if str(details.get("description")).startswith("Invalid expression"):
        return f": {piece!r} is not expected after {before!r}" if before else f": it begins with {piece!r}"
    return f": something is missing at {before + piece!r}"


def _check_brackets(tokens: list[Token]) -> None:
    """Refuses what is nested so deep that reading it would recurse too far, and queries."""
    depth = 0
    for token in tokens:
        if token.token_type == TokenType.VAR and token.text.upper() == "SELECT":
            raise Refusal("holds a query (SELECT)", "write one condition over the columns, without SELECT")
        depth += token.token_type in {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE}
        depth -= token.token_type in {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END}
        if depth > MOST_BRACKETS:
            raise too_deep()
        if token.token_type == TokenType.SEMICOLON:
            raise Refusal("holds a semicolon", "write one condition, without `;`")


def too_deep() -> Refusal:
    """The refusal of what is nested too deep to be read."""
    return Refusal(
        f"is nested deeper than {MOST_BRACKETS} levels",
        "write several rules of one condition each, with fewer brackets",
    )


def _check_size(tree: exp.Expr) -> None:
    """Refuses what Polars would make too large an expression of: it copies the arguments of some functions."""
    sizes: dict[int, int] = {}
    for node in reversed(list(tree.walk(bfs=True))):  # the parts before what they are parts of
        sizes[id(node)] = min(MOST_PARTS + 1, _size(node, sizes))
    if sizes[id(tree)] > MOST_PARTS:
        raise Refusal(
            f"has more than {MOST_PARTS} parts, counted as often as they are evaluated",
            "write several rules of one condition each, or `IN (…)` for a list of values",
        )


def _size(node: exp.Expr, sizes: dict[int, int]) -> int:
    """How many parts Polars' expression of a part has at most, by those of the parts that it consists of."""
    parts = [part for part in node.iter_expressions() if not isinstance(part, exp.Identifier | exp.DataType)]
    size = 1 + sum(sizes[id(part)] for part in parts)
    copied = 0 if node.args.get("this") is None or isinstance(node.this, str) else sizes.get(id(node.this), 0)
    if isinstance(node, exp.In):
        if all(map(_is_literal, node.expressions)):
            return 1 + copied  # a list of values is one part
        return size + copied * len(node.expressions)
    if isinstance(node, exp.Case):
        return size + copied * len(node.args["ifs"])
    if isinstance(node, exp.Between | exp.Extract):
        return size + copied + sizes.get(id(node.expression), 0)
    copies = COPIES.get(str(node.this).upper(), 1) if isinstance(node, exp.Anonymous) else 1
    return size * (COPIES["SUBSTRING"] if isinstance(node, exp.Substring) else copies)


def _is_literal(node: exp.Expr) -> bool:
    return isinstance(node.this if isinstance(node, exp.Neg) else node, exp.Literal | exp.Boolean | exp.Null)
