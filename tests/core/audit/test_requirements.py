from __future__ import annotations

from typing import Any

import pytest
from user_files import minimal_policy

from modelway.components.core.audit.requirements import Requirements, requirements
from modelway.components.core.errors import ModelwayError


@pytest.mark.parametrize(
    ("released", "brought", "expected"),
    [
        (
            {"approvals": {"quorum": 2, "valid_days": 3, "self_approval": True}},
            {"approvals": {"quorum": 1, "valid_days": 9}, "after": "staging"},
            Requirements(2, False, 3, ("staging",)),
        ),
        (
            {"approvals": {"self_approval": True}, "after": "staging"},
            {"approvals": {"self_approval": True}, "after": "development"},
            Requirements(0, True, 30, ("staging", "development")),
        ),
    ],
)
def test_of_two_policies_the_stricter_holds_in_each_point(
    released: dict[str, Any], brought: dict[str, Any], expected: Requirements
) -> None:
    policies = [
        minimal_policy(environments={"production": released}),
        minimal_policy(environments={"production": brought}),
    ]
    assert requirements(policies, "production") == expected
    reverse = requirements(policies[::-1], "production")
    assert (reverse.quorum, reverse.self_approval, reverse.valid_days) == (
        expected.quorum,
        expected.self_approval,
        expected.valid_days,
    )


def test_a_policy_without_the_environment_is_named() -> None:
    policies = [minimal_policy(environments={name: {}}) for name in ("staging", "production")]
    with pytest.raises(ModelwayError, match="the promoter brings has no environment staging") as error:
        requirements(policies, "staging")
    assert "choose one of production" in error.value.remedy


def test_of_two_policies_only_whom_both_trust_is_verified_and_one_that_asks_for_it_suffices() -> None:
    identities = [{"issuer": "kubernetes", "subject": "system:serviceaccount:release:approver"}]
    first = minimal_policy(environments={"production": {"approvals": {"verified": True, "identities": identities}}})
    second = minimal_policy(environments={"production": {"approvals": {"identities": identities[:1]}}})
    third = minimal_policy(environments={"production": {}})
    for policies, lists in (((first, second), 2), ((first, third), 1), ((third, first), 1), ((third, third), 0)):
        needs = requirements(policies, "production")
        assert (len(needs.identities), needs.verified) == (lists, first in policies)
