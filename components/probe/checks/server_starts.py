"""Whether the server becomes ready in time."""

from __future__ import annotations

from modelway.components.core.checks import Check, passed_or_failed
from modelway.components.core.config.serving_policy import Serving


def server_starts_check(seconds: float | None, policy: Serving, *, exit_status: int | None, log: str) -> Check:
    """Checks that the server became ready in time; quotes the last lines of its log if it did not."""
    timeout = policy.timeout_seconds
    if seconds is not None:
        message = f"the model server was ready after {seconds:.2f} seconds; the policy waits for {timeout:g}"
        return passed_or_failed("server_starts", True, message=message, observed=round(seconds, 3), threshold=timeout)
    how = f"ended with status {exit_status}" if exit_status is not None else f"was not ready within {timeout:g} seconds"
    message = f"the model server {how}; its log ends with: {log or 'nothing'}"
    return passed_or_failed("server_starts", False, message=message, threshold=timeout)
