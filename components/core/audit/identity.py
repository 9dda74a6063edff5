"""Who a verified token is of: its issuer, its subject, and the person whom its claims name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelway.components.core.config.deploy_policy import KUBERNETES, TrustedIdentity

NOT_VERIFIED = "as given, not verified"
AUDIENCE = "modelway"
IDENTITY, PROOF = "identity", "identity_proof"  # fields of an entry's details
_SHORT_NAMES = {"https://token.actions.githubusercontent.com": "github", "https://gitlab.com": "gitlab"}
# What a token's claims say about a job, where there is one: first the person who started it.
_GITHUB = ("actor", "repository", "environment", "job_workflow_ref", "run_id")
_GITLAB = ("user_login", "project_path", "environment", "pipeline_id", "job_id")
_LONGEST_CLAIM = 200


@dataclass(frozen=True)
class VerifiedIdentity:
    """Whom a token is of. In text, ``github repo:acme/claims:environment:production (actor ada, …)``.

    Attributes:
        issuer: The token's issuer; ``kubernetes`` for an account of the cluster.
        subject: The token's subject.
        name: The person: GitHub's `actor`, GitLab's `user_login`, else the address if the issuer has verified it, else
            the subject.
        method: How it was verified: by the issuer's keys (``oidc``), or by the cluster too (``token-review``).
        claims: What else the log tells about the token.
    """

    issuer: str
    subject: str
    name: str
    method: Literal["oidc", "token-review"]
    claims: Mapping[str, str]

    @classmethod
    def of(cls, issuer: str, claims: Mapping[str, Any]) -> VerifiedIdentity:
        """The identity that a token's claims state, which must be verified."""
        subject = _text(claims.get("sub"))
        names = _GITHUB if {"actor", "repository"} <= claims.keys() else _GITLAB if "user_login" in claims else ()
        job_claims = {name: _text(claims[name])[:_LONGEST_CLAIM] for name in names if _text(claims.get(name))}
        address = _text(claims.get("email")) if claims.get("email_verified") is True else ""
        name = job_claims.get(names[0], "") if names else address
        method: Literal["oidc", "token-review"] = "token-review" if issuer == KUBERNETES else "oidc"
        return cls(issuer, subject, name or subject, method, job_claims)

    def __str__(self) -> str:
        # The subject of GitHub names repository and environment as a rule, that of GitLab the project.
        rest = [f"{name} {value}" for name, value in self.claims.items() if f"{value}:" not in f"{self.subject}:"]
        if not self.claims and self.name != self.subject:
            rest = [self.name]
        issuer = _SHORT_NAMES.get(self.issuer, self.issuer)
        return f"{issuer} {self.subject}" + (f" ({', '.join(rest)})" if rest else "")


def recorded_identity(details: Mapping[str, str]) -> str:
    """Who acted by an entry's details: the identity that its token is of, or that none was verified."""
    return details.get(IDENTITY, NOT_VERIFIED) if details.get(PROOF) else NOT_VERIFIED


def bound_audience(environment: str, blessing_sha256: str) -> str:
    """The audience of a token that is for one approval only."""
    return f"{AUDIENCE}:{environment}:{blessing_sha256}"


def is_trusted(issuer: str, claims: Mapping[str, Any], *, lists: Sequence[Sequence[TrustedIdentity]]) -> bool:
    """Whether each list has an identity that a token's claims agree with; without lists nobody is trusted."""
    return bool(lists) and all(any(_agrees(issuer, claims, trusted=trusted) for trusted in names) for names in lists)


def _agrees(issuer: str, claims: Mapping[str, Any], *, trusted: TrustedIdentity) -> bool:
    required = {"sub": trusted.subject, **trusted.claims}
    return issuer == trusted.issuer and all(_text(claims.get(name)) == value for name, value in required.items())


def _text(value: object) -> str:
    """A claim as text; empty for what is no single value."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int) else ""
