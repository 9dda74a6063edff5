"""What an environment requires of a version before it goes there, by one policy or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelway.components.core.config.deploy_policy import EnvironmentName, TrustedIdentity
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError


@dataclass(frozen=True)
class Requirements:
    """What an environment requires of a version before it goes there.

    Attributes:
        quorum: How many people must approve.
        self_approval: Whether the person who asked for the run may be one of them.
        valid_days: How long an approval is valid at most.
        after: The environments in which the version must have been served before.
        approvers: Lists of people: whoever approves must be in each of them.
        identities: Lists of identities: a verified one must be in each of them. Empty: none is trusted.
        verified: Whether only approvals of verified identities count.
    """

    quorum: int
    self_approval: bool
    valid_days: int
    after: tuple[EnvironmentName, ...]
    approvers: tuple[tuple[str, ...], ...] = ()
    identities: tuple[tuple[TrustedIdentity, ...], ...] = ()
    verified: bool = False


def requirements(policies: Sequence[Policy], environment: EnvironmentName) -> Requirements:
    """What an environment requires by all policies together: in each point, what the strictest does.

    The policies are the one that the version was released with, and the one that the promoter brings, if any.

    Raises:
        ModelwayError: a policy has no such environment.
    """
    origins = ("that the version was released with", "that the promoter brings")
    for policy, origin in zip(policies, origins, strict=False):
        check_environment(policy, environment, origin=origin)
    sections = [policy.environments[environment] for policy in policies]
    each = [section.approvals for section in sections]
    return Requirements(
        quorum=max(approvals.quorum for approvals in each),
        self_approval=all(approvals.self_approval for approvals in each),
        valid_days=min(approvals.valid_days for approvals in each),
        approvers=tuple(approvals.approvers for approvals in each if approvals.approvers is not None),
        identities=tuple(approvals.identities for approvals in each if approvals.identities is not None),
        verified=any(approvals.verified for approvals in each),
        after=tuple(dict.fromkeys(section.after for section in sections if section.after is not None)),
    )


def check_environment(policy: Policy, environment: EnvironmentName, *, origin: str) -> None:
    """Checks that a policy has an environment; `origin` says which policy it is.

    Raises:
        ModelwayError: it has not.
    """
    if environment not in policy.environments:
        raise ModelwayError(
            f"the policy {origin} has no environment {environment}",
            key="environments",
            value=environment,
            remedy=f"choose one of {', '.join(policy.environments)}, or add it there and release again",
        )
