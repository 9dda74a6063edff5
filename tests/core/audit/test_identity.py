from __future__ import annotations

from typing import Any

import pytest

from modelway.components.core.audit.identity import VerifiedIdentity, is_trusted, recorded_identity
from modelway.components.core.config.deploy_policy import TrustedIdentity

GITHUB: dict[str, Any] = {
    "sub": "repo:acme/claims:environment:production",
    "repository": "acme/claims",
    "environment": "production",
    "actor": "ada",
    "job_workflow_ref": "acme/claims/.github/workflows/approve.yml@refs/heads/main",
    "run_id": "4711",
}
GITLAB: dict[str, Any] = {
    "sub": "project_path:acme/claims:ref_type:branch:ref:main",
    "project_path": "acme/claims",
    "user_login": "ada",
    "user_email": "bob@example.org",
    "environment": "production",
    "environment_protected": "true",
    "pipeline_id": "7",
    "job_id": 8,
}


@pytest.mark.parametrize(
    ("issuer", "claims", "name", "text"),
    [
        (
            "https://token.actions.githubusercontent.com",
            GITHUB,
            "ada",
            "github repo:acme/claims:environment:production (actor ada, "
            "job_workflow_ref acme/claims/.github/workflows/approve.yml@refs/heads/main, run_id 4711)",
        ),
        (
            "https://gitlab.example.org",
            GITLAB,
            "ada",
            "https://gitlab.example.org project_path:acme/claims:ref_type:branch:ref:main "
            "(user_login ada, environment production, pipeline_id 7, job_id 8)",
        ),
        (
            "https://sso.example.org",
            {"sub": "5", "email": "ada@example.org", "email_verified": True},
            "ada@example.org",
            "https://sso.example.org 5 (ada@example.org)",
        ),
        (
            "https://sso.example.org",
            {"sub": "5", "email": "ada@example.org", "email_verified": "yes", "name": "Ada"},
            "5",
            "https://sso.example.org 5",
        ),
        ("kubernetes", {"sub": "system:serviceaccount:a:b"}, "system:serviceaccount:a:b", None),
    ],
)
def test_an_identity_names_the_person_and_the_job(
    issuer: str, claims: dict[str, Any], name: str, text: str | None
) -> None:
    identity = VerifiedIdentity.of(issuer, claims)
    assert (identity.name, str(identity)) == (name, text or f"kubernetes {claims['sub']}")
    assert identity.method == ("token-review" if issuer == "kubernetes" else "oidc")


@pytest.mark.parametrize(
    ("required", "trusted"),
    [
        ({"environment": "production", "environment_protected": "true"}, True),
        ({"job_id": "8"}, True),
        ({"environment": "staging"}, False),
        ({"groups": "x"}, False),
    ],
)
def test_claims_that_the_policy_names_must_all_agree(required: dict[str, str], trusted: bool) -> None:
    issuer = "https://gitlab.example.org"
    identity = TrustedIdentity(issuer=issuer, subject=GITLAB["sub"], claims=required)
    assert is_trusted(issuer, GITLAB | {"groups": ["x"]}, lists=[[identity]]) is trusted
    assert not is_trusted("https://gitlab.com", GITLAB, lists=[[identity]])
    assert not is_trusted(issuer, GITLAB, lists=[])


def test_an_identity_without_a_token_is_none() -> None:
    assert recorded_identity({"identity": "github repo:acme/claims"}) == "as given, not verified"
    assert recorded_identity({"identity": "github x", "identity_proof": "a.b.c"}) == "github x"
