"""From a condition's text to Polars: the only way, for Polars evaluates what it parses.

In Polars' SQL a table function such as ``read_csv`` reads its file, or the network, while the text is parsed. So a
text is parsed by sqlglot, checked against what ``sql_grammar`` lists, and written anew; Polars reads only that.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import polars as pl
import polars.exceptions

from modelway.components.core.errors import ModelwayError, first_line

if TYPE_CHECKING:
    from modelway.components.core.config.sql_parser import Refusal


def parse_expression(text: str, *, name: str, key: str) -> pl.Expr:
    """The expression of a condition in SQL.

    ``CURRENT_DATE`` and ``CURRENT_TIMESTAMP`` are the moment of the call.

    Args:
        text: The condition, as a user wrote it.
        name: What it is called in errors: "the rule 'paid'".
        key: Its key in the user's file.

    Raises:
        ModelwayError: it is no SQL expression, or holds what a rule may not; says what, and what to write instead.
    """
    written = _written(text)
    if not isinstance(written, str):
        raise ModelwayError(f"{name} {written.problem}", key=key, value=text, remedy=written.remedy)
    try:
        return pl.sql_expr(written)
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        raise ModelwayError(
            f"{name} is not a SQL expression: {first_line(error)}",
            key=key,
            value=text,
            remedy="write a SQL condition, such as `paid <= billed`",
        ) from error


def where_condition(name: str, where: str) -> pl.Expr:
    """The condition of a prediction rule: which rows it is about.

    Raises:
        ModelwayError: as `parse_expression`; its key is the policy's.
    """
    return parse_expression(where, name=f"`where` of the prediction rule {name!r}", key=f"model.rules.{name}.where")


@lru_cache(maxsize=1024)
def _written(text: str) -> str | Refusal:
    """The text as it is written anew, or why it is refused."""
    from modelway.components.core.config.sql_parser import Refusal
    from modelway.components.core.config.sql_writer import write_condition

    try:
        return write_condition(text)
    except Refusal as refusal:
        return refusal.with_traceback(None)
