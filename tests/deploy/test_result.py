"""What came of a deployment is said in one line, in a table, and by failing where nothing went live."""

from __future__ import annotations

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.runs import DeploymentResult
from modelway.components.deploy.result import DeployResult

GONE = DeployResult(
    "undone", "loans", "4", "production", "r/loans@sha256:4", "3", "r/loans@sha256:3", ("error-rate is 0.3", "b"), 61.4
)


@pytest.mark.parametrize(
    ("verdict", "live", "says"),
    [
        ("promoted", True, "version 4 of loans is live in staging"),
        ("rolled-back", True, "version 4 of loans is live again in staging"),
        ("undone", False, "version 4 of loans was undone in staging"),
        ("refused", False, "version 4 of loans was refused in staging"),
    ],
)
def test_only_a_live_version_is_a_success(verdict: DeploymentResult, live: bool, says: str) -> None:
    result = DeployResult(verdict, "loans", "4", "staging", "")
    assert (result.live, result.sentence()) == (live, says)
    if live:
        result.check()
        return
    with pytest.raises(ModelwayError, match=says):
        result.check()


def test_the_reasons_are_in_the_error_and_in_the_summary() -> None:
    with pytest.raises(ModelwayError, match=r"was undone in production: error-rate is 0\.3; b"):
        GONE.check()
    assert GONE.markdown() == (
        "# Version 4 of loans was undone in production\n\n| | |\n| --- | --- |\n| Result | **undone** |\n"
        "| Environment | production |\n| Image | `r/loans@sha256:4` |\n| In place of | version 3 |\n"
        "| Serving again | `r/loans@sha256:3` |\n| Took | 61 s |\n\n- error-rate is 0.3\n- b\n"
    )


def test_a_summary_leaves_out_what_there_is_not() -> None:
    text = DeployResult("promoted", "loans", "1", "staging", "").markdown()
    assert "Image" not in text
    assert "In place of" not in text
    assert "Serving again" not in text
