"""Whether there are test rows enough to judge a model by."""

from __future__ import annotations

from modelway.components.core.checks import Check, inconclusive, passed_or_failed
from modelway.components.core.config.model_policy import ModelPolicy


def row_checks(rows: int, policy: ModelPolicy) -> list[Check]:
    """A check of how many test rows there are, unless they suffice: none fails, few are inconclusive."""
    if rows == 0:
        message = "the test split has no rows: nothing can be measured; look at `data.split` and at the source"
        return [passed_or_failed("test_rows", passed=False, message=message, observed=0, threshold=policy.minimum_rows)]
    if rows < policy.minimum_rows:
        message = (
            f"{rows:,} test rows; the policy asks for {policy.minimum_rows:,} to judge a model by; bring more data, or "
            "raise `data.split.test_fraction`"
        )
        return [
            inconclusive(
                "test_rows", message, rule=policy.on_inconclusive, observed=rows, threshold=policy.minimum_rows
            )
        ]
    return []
