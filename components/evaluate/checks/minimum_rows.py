"""Whether there are enough test rows to judge a model, and rows of each class."""

from __future__ import annotations

import numpy as np

from modelway.components.core.checks import Check, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.config.model_policy import ModelPolicy
from modelway.components.core.measures.metrics import Predictions


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


def class_checks(predictions: Predictions) -> list[Check]:
    """A check ``test_classes`` where a class has one test row, or rows but none that the model was trained on.

    It does not block: what such rows leave open, the checks of the metrics say.
    """
    counts = np.bincount(predictions.truth, minlength=len(predictions.classes)) if predictions.classes else np.empty(0)
    trained = len(predictions.classes)
    parts = [
        f"{predictions.class_name(number)!r} has {count:,} test row{'' if count == 1 else 's'}"
        + (" and none that the model was trained on" if number >= trained else "")
        for number, count in enumerate(counts.tolist())
        if count and (count == 1 or number >= trained)
    ]
    if not parts:
        return []
    message = f"{'; '.join(parts[:10])}; bring more rows of such classes, or join them with others"
    return [inconclusive("test_classes", message, rule=OnInconclusive.WARN, observed=len(parts))]
