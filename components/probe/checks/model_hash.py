"""Whether the model's files have not changed since training."""

from __future__ import annotations

from modelway.components.core.checks import Check, passed_or_failed


def model_hash_check(actual: str, expected: str) -> Check:
    """Checks that the model's files have not changed since training."""
    message = (
        "the model's files have the same SHA-256 as after training"
        if actual == expected
        else f"the model's files have changed since training: their SHA-256 is {actual}, not {expected}; it was "
        "not served; train it again, and let only the pipeline write to its artifacts"
    )
    return passed_or_failed(
        "model_hash", actual == expected, message=message, observed=actual[:12], threshold=expected[:12]
    )
