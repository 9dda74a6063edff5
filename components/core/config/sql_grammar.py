"""What a condition in SQL may hold: the functions, types and limits, and sqlglot's parser narrowed to them.

Imported where a rule is read, not before: sqlglot takes a tenth of a second.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.parser import IsPredicatePrecedence, Parser
from sqlglot.tokenizer_core import TokenType
from sqlglot.tokens import Tokenizer

MOST_LETTERS = 4_000
MOST_PARTS = 500  # columns, values, operators and functions, each as often as Polars copies it
MOST_BRACKETS = 20  # inside each other, CASE … END among them

_NUMBER_FUNCTIONS = {
    **dict.fromkeys(("ABS", "SIGN", "EXP", "LN", "LOG2", "LOG10", "LOG1P", "SQRT", "CBRT"), (1, 1)),
    **dict.fromkeys(("SIN", "COS", "TAN", "ASIN", "ACOS", "ATAN", "DEGREES", "RADIANS"), (1, 1)),
    **dict.fromkeys(("CEIL", "CEILING", "FLOOR"), (1, 1)),
    **dict.fromkeys(("ROUND", "TRUNC", "TRUNCATE"), (1, 2)),
    **dict.fromkeys(("DIV", "MOD", "POW", "POWER", "LOG", "ATAN2"), (2, 2)),
    "PI": (0, 0),
}
_TEXT_FUNCTIONS = {
    **dict.fromkeys(("LENGTH", "CHAR_LENGTH", "CHARACTER_LENGTH", "OCTET_LENGTH", "BIT_LENGTH"), (1, 1)),
    **dict.fromkeys(("LOWER", "UPPER", "INITCAP", "REVERSE", "NORMALIZE"), (1, 1)),
    **dict.fromkeys(("STARTS_WITH", "ENDS_WITH", "STRPOS", "LEFT", "RIGHT"), (2, 2)),
    **dict.fromkeys(("LTRIM", "RTRIM"), (1, 2)),
    **dict.fromkeys(("SUBSTR", "SUBSTRING", "REGEXP_LIKE"), (2, 3)),
    **dict.fromkeys(("REPLACE", "REGEXP_REPLACE", "SPLIT_PART"), (3, 3)),
    "CONCAT": (1, 100),
    "CONCAT_WS": (2, 100),
}
_TIME_FUNCTIONS = {
    **dict.fromkeys(("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DAYOFWEEK", "DAYOFYEAR"), (1, 1)),
    **dict.fromkeys(("HOUR", "MINUTE", "SECOND"), (1, 1)),
    **dict.fromkeys(("DATE", "TIME", "TIMESTAMP", "DATETIME"), (1, 2)),
    **dict.fromkeys(("DATE_PART", "STRFTIME", "STRPTIME"), (2, 2)),
    **dict.fromkeys(("NOW", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"), (0, 0)),
}
_VALUE_FUNCTIONS = {
    **dict.fromkeys(("COALESCE", "GREATEST", "LEAST"), (1, 100)),
    **dict.fromkeys(("IFNULL", "NULLIF"), (2, 2)),
    "IF": (3, 3),
}
_AGGREGATES = {
    **dict.fromkeys(("AVG", "COUNT", "MIN", "MAX", "SUM", "TOTAL", "MEDIAN", "FIRST", "LAST"), (1, 1)),
    **dict.fromkeys(("STDDEV", "STDDEV_SAMP", "STDEV", "STDEV_SAMP", "VAR", "VAR_SAMP", "VARIANCE"), (1, 1)),
    **dict.fromkeys(("QUANTILE_CONT", "QUANTILE_DISC", "CORR", "COVAR", "COVAR_POP", "COVAR_SAMP"), (2, 2)),
}
FUNCTIONS = {**_NUMBER_FUNCTIONS, **_TEXT_FUNCTIONS, **_TIME_FUNCTIONS, **_VALUE_FUNCTIONS, **_AGGREGATES}
AGGREGATES = frozenset(_AGGREGATES)
_TYPE_NAMES = (
    "BOOLEAN BOOL TINYINT SMALLINT INT INTEGER BIGINT REAL FLOAT DOUBLE DECIMAL NUMERIC "
    "CHAR VARCHAR TEXT STRING DATE TIME TIMESTAMP DATETIME"
)
_DATE_PART_NAMES = (
    "MILLENNIUM CENTURY DECADE ISOYEAR YEAR QUARTER MONTH WEEK DAY DOY DOW ISODOW "
    "HOUR MINUTE SECOND MILLISECOND MICROSECOND NANOSECOND EPOCH TIME"
)
TYPES = frozenset(_TYPE_NAMES.split())
DATE_PARTS = frozenset(_DATE_PART_NAMES.split())
_SPAN = r"\d{1,6} ?(years?|quarters?|months?|weeks?|days?|hours?|minutes?|seconds?|milliseconds?|microseconds?)"
SPANS = re.compile(rf"{_SPAN}( {_SPAN})*", re.IGNORECASE)
_WORDS = (
    "AND OR NOT IN IS NULL TRUE FALSE LIKE ILIKE RLIKE REGEXP BETWEEN CASE WHEN THEN ELSE END AS FROM FOR DISTINCT "
    "INTERVAL DATE TIME TIMESTAMP DATETIME FILTER WHERE OVER CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP"
)

# How often Polars' expression holds an argument of these at most; it holds one of any other function once.
COPIES = {
    **dict.fromkeys(("NULLIF", "SUM", "CORR", "DATE_PART", "DAYOFWEEK"), 2),
    **dict.fromkeys(("LEFT", "RIGHT", "SUBSTR", "SUBSTRING"), 3),
    "SPLIT_PART": 4,
}


class _Words(Tokenizer):
    """Knows the words of conditions only: every other word is a name."""

    IDENTIFIERS: ClassVar[Any] = ['"', "`"]
    KEYWORDS: ClassVar[Any] = {
        **{word: Tokenizer.KEYWORDS[word] for word in ("==", "::", "||", ">=", "<=", "<>", "!=")},
        **{word: Tokenizer.KEYWORDS[word] for word in (*_WORDS.split(), "PARTITION BY", "ORDER BY")},
        "//": TokenType.DIV,
        "~": TokenType.RLIKE,
    }


def _marked(parse: Callable[..., exp.Expr], mark: str) -> Callable[..., exp.Expr]:
    """A parser whose result says how it was written."""

    def parse_and_mark(parser: Any, *parts: Any) -> exp.Expr:
        expression = parse(parser, *parts)
        expression.meta[mark] = True
        return expression

    return parse_and_mark


def _cast(parser: Any, this: exp.Expr, to: exp.Expr) -> exp.Expr:
    return parser.expression(exp.Cast(this=this, to=to))  # type: ignore[no-any-return]


class _Conditions(Parser):
    """Parses expressions, and leaves functions, types and brackets as they are written."""

    FUNCTIONS: ClassVar[Any] = {}
    FUNCTION_PARSERS: ClassVar[Any] = {
        name: Parser.FUNCTION_PARSERS[name] for name in ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "POSITION", "SUBSTRING")
    }
    NO_PAREN_FUNCTION_PARSERS: ClassVar[Any] = {"CASE": Parser.NO_PAREN_FUNCTION_PARSERS["CASE"]}
    TYPE_TOKENS: ClassVar[Any] = {TokenType.DATE, TokenType.TIME, TokenType.TIMESTAMP, TokenType.DATETIME}
    TYPE_LITERAL_PARSERS: ClassVar[Any] = dict.fromkeys(
        (exp.DType.DATE, exp.DType.TIME, exp.DType.TIMESTAMP, exp.DType.DATETIME), _marked(_cast, "typed")
    )
    UNARY_PARSERS: ClassVar[Any] = {
        TokenType.NOT: _marked(Parser.UNARY_PARSERS[TokenType.NOT], "in_front"),
        TokenType.DASH: Parser.UNARY_PARSERS[TokenType.DASH],
    }
    COLUMN_OPERATORS: ClassVar[Any] = {TokenType.DOT: None, TokenType.DCOLON: _marked(_cast, "colons")}
    IS_PREDICATE_PRECEDENCE: ClassVar[IsPredicatePrecedence] = IsPredicatePrecedence.LOW

    def _parse_paren(self) -> exp.Expr | None:
        """Brackets of the text: the parser sets some of its own."""
        expression = super()._parse_paren()
        if isinstance(expression, exp.Paren):
            expression.meta["written"] = True
        return expression


class Conditions(Dialect):
    """sqlglot's SQL, narrowed to conditions as Polars reads them."""

    Tokenizer = _Words
    Parser = _Conditions
