"""The part of ``policy.yaml`` that says how a blessed model goes live: who must agree, in what steps, watched how."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from modelway.components.core.config.document import Section, ValueAtKeyError
from modelway.components.core.config.thresholds import GREATEST_PSI, HIGHER, LOWER

_WEEK = 7 * 24 * 3600

EnvironmentName = Literal["development", "staging", "production"]


KUBERNETES = "kubernetes"


class TrustedIdentity(Section):
    """An identity whose approvals count as verified: what a token must say, in each point exactly."""

    issuer: str = Field(description="The issuer's https address, or `kubernetes`: the cluster's own accounts.")
    subject: str = Field(min_length=1, description="The token's `sub`, such as repo:acme/claims:environment:production")
    claims: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        {}, description="Further claims that the token must have, such as environment."
    )

    @field_validator("issuer")
    @classmethod
    def _is_an_issuer(cls, issuer: str) -> str:
        if issuer != KUBERNETES and (problem := address_problem(issuer)):
            raise ValueError(f"{problem}; give the issuer's address as its tokens have it in `iss`, or {KUBERNETES}")
        return issuer

    @field_validator("subject")
    @classmethod
    def _is_exact(cls, subject: str) -> str:
        if "*" in subject:
            raise ValueError("patterns are not allowed, since they trust more than one means: list each subject")
        return subject

    def __str__(self) -> str:
        return " ".join(
            [self.issuer, self.subject, *(f"{name}={value}" for name, value in sorted(self.claims.items()))]
        )


def address_problem(address: str) -> str:
    """Why an address is not one to fetch an issuer's keys or tokens from, a clause; empty if it is."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return f"{address!r} is not an address"
    if not host or parts.username is not None or parts.fragment:
        return f"{address!r} is not an address of a host"
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return ""
    return f"{address!r} is not https"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Approvals(Section):
    """Who must agree before a version goes to an environment."""

    quorum: Annotated[int, HIGHER] = Field(0, ge=0, le=20, description="How many people must approve.")
    self_approval: Annotated[bool, LOWER] = Field(
        False, description="Whether who asked for the run may approve its model."
    )
    valid_days: Annotated[int, LOWER] = Field(
        30, ge=1, le=366, description="How long an approval holds unless it says less."
    )
    approvers: Annotated[tuple[str, ...] | None, LOWER] = Field(
        None, min_length=1, description="Who may approve, by their addresses; anybody unless given."
    )
    identities: Annotated[tuple[TrustedIdentity, ...] | None, LOWER] = Field(
        None, min_length=1, description="Whose tokens verify who approves: jobs of CI, accounts of the cluster."
    )
    verified: Annotated[bool, HIGHER] = Field(
        False, description="Whether only approvals count whose identity is verified, by a token of `identities`."
    )

    @model_validator(mode="after")
    def _names_identities(self) -> Self:
        if self.verified and self.identities is None:
            raise ValueError("`verified: true` needs `identities`, since without them no approval could count")
        return self

    @model_validator(mode="after")
    def _approvers_suffice(self) -> Self:
        if self.approvers is not None and self.quorum > len(set(self.approvers)):
            problem = f"{self.quorum} must approve, and {len(set(self.approvers))} may: no version can pass"
            raise ValueAtKeyError(problem, key=("quorum",), value=self.quorum)
        return self


class Environment(Section):
    """Where versions are served."""

    namespace: str | None = Field(None, pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    after: EnvironmentName | None = Field(None, description="Where a version must have been served before.")
    approvals: Approvals = Approvals()
    traffic: Literal["smoke", "live"] = Field(
        "smoke",
        description="What a new version is judged on while it rolls out. live: the requests that the environment gets "
        "anyway, the default of production. smoke: requests that `deploy_model` sends to the new pods itself.",
    )


class Step(Section):
    """One step of a canary."""

    weight: int = Field(ge=1, le=100, description="The percentage of the traffic, by replicas without a router.")
    pause_seconds: int = Field(30, ge=1, le=_WEEK)


class CompareWithStable(Section):
    """How much worse than the stable version's, at the same time, the canary's may be."""

    error_rate: Annotated[float, LOWER] = Field(0.01, ge=0, lt=1, description="Greatest difference of the error rates.")
    latency_ratio: Annotated[float, LOWER] = Field(
        1.5, ge=1, le=100, description="Greatest ratio of the 95th percentiles."
    )


class Analysis(Section):
    """What is watched while a version rolls out; latency bounds are those of `serving.sla`."""

    interval_seconds: int = Field(10, ge=1, le=3600)
    count: int = Field(6, ge=1, le=1000, description="Measurements of each metric; then it has passed.")
    initial_delay_seconds: int = Field(20, ge=0, le=3600, description="The first scrapes of a new pod are empty.")
    failure_limit: Annotated[int, LOWER] = Field(0, ge=0, description="Measurements of a metric that may fail.")
    minimum_requests: Annotated[int, HIGHER] = Field(
        50,
        ge=1,
        le=1_000_000,
        description="No traffic is not health: fewer requests, less those answered by 4xx, undo the rollout.",
    )
    error_rate: Annotated[float | None, LOWER] = Field(
        0.01, ge=0, lt=1, description="Greatest share of 5xx among the answers that are no 4xx."
    )
    drift: Annotated[float | None, LOWER] = Field(
        0.25,
        gt=0,
        lt=GREATEST_PSI,
        description="Greatest population stability index of a feature over the server's window, less what chance adds.",
    )
    compare_with_stable: CompareWithStable | None = None

    @model_validator(mode="after")
    def _can_fail(self) -> Self:
        if self.failure_limit >= self.count:
            problem = f"{self.failure_limit} of {self.count} measurements may fail: no metric can fail"
            raise ValueAtKeyError(problem, key=("failure_limit",), value=self.failure_limit)
        return self


class Deployment(Section):
    """How a version is rolled out."""

    target: Literal["rollout", "deployment", "kserve"] = Field(
        "rollout", description="Argo Rollouts; a plain Kubernetes Deployment; KServe's InferenceService."
    )
    strategy: Literal["canary", "blue-green", "rolling"] = "canary"
    steps: tuple[Step, ...] = (Step(weight=20), Step(weight=50))
    analysis: Analysis = Analysis()
    progress_deadline_seconds: int = Field(
        300, ge=10, le=_WEEK, description="Without progress for so long, it is undone; for room it waits as long."
    )
    timeout_seconds: int = Field(3600, ge=30, le=_WEEK, description="How long a rollout may take in all.")


def _with_live_production(environments: dict[EnvironmentName, Environment]) -> dict[EnvironmentName, Environment]:
    """Production has traffic of its own unless its section says otherwise."""
    production = environments.get("production")
    if production is None or "traffic" in production.model_fields_set:
        return environments
    return {**environments, "production": production.model_copy(update={"traffic": "live"})}


Environments = Annotated[dict[EnvironmentName, Environment], AfterValidator(_with_live_production)]
DEFAULT_ENVIRONMENTS: dict[EnvironmentName, Environment] = {
    "staging": Environment(),
    "production": Environment(after="staging", approvals=Approvals(quorum=1), traffic="live"),
}
