"""What an environment asks for before a version goes there, where one policy or several speak of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelway.components.core.config.deploy_policy import Environment, EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError


@dataclass(frozen=True)
class Requirements:
    """What an environment asks for before a version goes there.

    Attributes:
        quorum: How many people must approve.
        self_approval: Whether who asked for the run may be one of them.
        valid_days: How long an approval holds at most.
        after: Where the version must have been served before.
    """

    quorum: int
    self_approval: bool
    valid_days: int
    after: tuple[EnvironmentName, ...]


def strictest(environments: Iterable[Environment]) -> Requirements:
    """What holds where several policies speak of an environment: in each point the stricter."""
    sections = list(environments)
    return Requirements(
        quorum=max(section.approvals.quorum for section in sections),
        self_approval=all(section.approvals.self_approval for section in sections),
        valid_days=min(section.approvals.valid_days for section in sections),
        after=tuple(dict.fromkeys(section.after for section in sections if section.after is not None)),
    )


def requirements(policies: Sequence[Policy], environment: EnvironmentName) -> Requirements:
    """What an environment asks for by every policy.

    Args:
        policies: The one that the version was released with, and the one that the promoter brings, if any.
        environment: Where a version is to go.

    Raises:
        ModelwayError: a policy names no such environment.
    """
    for policy, origin in zip(policies, ("that the version was released with", "that was brought"), strict=False):
        if environment not in policy.environments:
            raise ModelwayError(
                f"the policy {origin} names no environment {environment}",
                key="environments",
                value=environment,
                remedy=f"choose one of {', '.join(policy.environments)}, or name it there and release again",
            )
    return strictest(policy.environments[environment] for policy in policies)
