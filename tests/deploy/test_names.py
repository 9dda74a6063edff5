"""A registered model's name becomes one that Kubernetes takes, or an error."""

from __future__ import annotations

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.names import kubernetes_name


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("loans", "loans"),
        ("insurance_high_use", "insurance-high-use"),
        ("Team A / Loans (v2)", "team-a-loans-v2"),
        ("zinsen-für", "zinsen-f-r"),
        ("a" * 40, "a" * 40),
    ],
)
def test_a_name_becomes_a_dns_label(model: str, name: str) -> None:
    assert kubernetes_name(model) == name


@pytest.mark.parametrize("model", ["", "___", "1st", "a" * 41])
def test_a_name_that_cannot_become_one_is_refused(model: str) -> None:
    with pytest.raises(ModelwayError, match="cannot be the name of objects in Kubernetes"):
        kubernetes_name(model)
