from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import DamagedError

Text = Callable[..., str]


@pytest.mark.parametrize(
    ("environments", "traffic"),
    [
        (None, {"staging": "smoke", "production": "live"}),
        (
            {"development": {}, "staging": {}, "production": {}},
            {"development": "smoke", "staging": "smoke", "production": "live"},
        ),
        (
            {"staging": {"traffic": "live"}, "production": {"traffic": "smoke"}},
            {"staging": "live", "production": "smoke"},
        ),
        ({"staging": {"namespace": "models"}}, {"staging": "smoke"}),
    ],
)
def test_only_production_has_traffic_of_its_own_unless_the_policy_says_so(
    policy_text: Text, environments: Any, traffic: dict[str, str]
) -> None:
    policy = Policy.parse(policy_text({"environments": environments} if environments else {}))
    assert {name: section.traffic for name, section in policy.environments.items()} == traffic
    assert Policy.parse(policy.canonical()) == policy


@pytest.mark.parametrize(
    ("identity", "problem"),
    [
        ({"issuer": "http://ci.example.org", "subject": "job"}, "is not https"),
        ({"issuer": "github", "subject": "job"}, "is not an address of a host"),
        ({"issuer": "https://ada:secret@ci.example.org", "subject": "job"}, "is not an address of a host"),
        ({"issuer": "https://[ci", "subject": "job"}, "is not an address"),
        ({"issuer": "https://ci.example.org", "subject": "repo:acme/*:environment:production"}, "patterns"),
        ({"issuer": "kubernetes", "subject": "a", "claims": {"environment": ""}}, "at least 1 character"),
        ({"issuer": "kubernetes", "subject": ""}, "at least 1 character"),
        ({"issuer": "kubernetes"}, "subject"),
    ],
)
def test_an_identity_is_one_subject_of_an_issuer_that_can_be_believed(
    policy_text: Text, identity: dict[str, Any], problem: str
) -> None:
    environments = {"production": {"approvals": {"identities": [identity]}}}
    with pytest.raises(DamagedError, match=problem) as error:
        Policy.parse(policy_text({"environments": environments}))
    assert str(error.value.key).startswith("environments.production.approvals.identities")


def test_without_identities_nobody_could_be_verified(policy_text: Text) -> None:
    with pytest.raises(DamagedError, match="`verified: true` needs `identities`"):
        Policy.parse(policy_text({"environments": {"production": {"approvals": {"verified": True}}}}))


def test_identities_stand_in_the_policy_as_they_were_given(policy_text: Text) -> None:
    identities = [
        {"issuer": "http://127.0.0.1:8080", "subject": "job", "claims": {"environment": "production"}},
        {"issuer": "kubernetes", "subject": "system:serviceaccount:release:approver"},
    ]
    approvals = {"verified": True, "identities": identities}
    policy = Policy.parse(policy_text({"environments": {"production": {"approvals": approvals}}}))
    assert Policy.parse(policy.canonical()) == policy
    names = [str(identity) for identity in policy.environments["production"].approvals.identities or ()]
    assert names == [
        "http://127.0.0.1:8080 job environment=production",
        "kubernetes system:serviceaccount:release:approver",
    ]
