"""Whether there are enough test rows to judge a model."""

from __future__ import annotations

from modelway.components.core.checks import Check, inconclusive, passed_or_failed
from modelway.components.core.config.model_policy import ModelPolicy


def row_checks(rows: int, policy: ModelPolicy, *, kind: str = "test rows") -> list[Check]:
    """A check of the number of rows where they do not suffice: no rows fail, too few are inconclusive."""
    if rows == 0:
        message = "the test split has no rows: nothing can be measured; check `data.split` and the source"
        return [passed_or_failed("test_rows", passed=False, message=message, observed=0, threshold=policy.minimum_rows)]
    if rows < policy.minimum_rows:
        message = (
            f"{rows:,} {kind}; the policy requires {policy.minimum_rows:,} to judge a model; bring more data, or "
            "raise `data.split.test_fraction`"
        )
        return [
            inconclusive(
                "test_rows", message, rule=policy.on_inconclusive, observed=rows, threshold=policy.minimum_rows
            )
        ]
    return []
