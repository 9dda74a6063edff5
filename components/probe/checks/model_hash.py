"""Whether the model's files are those that were trained."""

from __future__ import annotations

from modelway.components.core.checks import Check, passed_or_failed


def model_hash_check(found: str, expected: str) -> Check:
    """Whether the model's files are those that were trained."""
    message = (
        "the model's files have the SHA-256 that they were trained with"
        if found == expected
        else f"the model's files are not those that were trained: their SHA-256 is {found}, not {expected}; nothing "
        "was started; train it again, and let nothing but the pipeline write to its artifacts"
    )
    return passed_or_failed(
        "model_hash", found == expected, message=message, observed=found[:12], threshold=expected[:12]
    )
