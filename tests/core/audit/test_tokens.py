from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from oidc_issuer import PRODUCTION, OidcIssuer

from modelway.components.core.audit.issuers import Issuers
from modelway.components.core.audit.tokens import LONGEST_TOKEN, token_id, verify_token
from modelway.components.core.config.deploy_policy import TrustedIdentity
from modelway.components.core.errors import RejectedError


def verify(token: str, issuer: OidcIssuer, after: float = 0, **identity: Any) -> Any:
    trusted = TrustedIdentity(issuer=issuer.url, subject=PRODUCTION, **identity)
    at = datetime.fromtimestamp(time.time() + after, UTC)
    return verify_token(token, [[trusted]], audiences=("modelway",), at=at, issuers=Issuers())


@pytest.mark.parametrize(
    ("after", "valid"), [(0, True), (-50, True), (-70, False), (350, True), (370, False), (10**6, False)]
)
def test_a_token_is_valid_at_the_time_of_its_approval_and_a_minute_around(
    issuer: OidcIssuer, after: float, valid: bool
) -> None:
    """A token of 5 minutes: what counts is when it was used, not when it is looked at."""
    token = issuer.token("modelway")
    if valid:
        assert verify(token, issuer, after).name == "bob"
        return
    with pytest.raises(RejectedError, match=r"had expired at|was not valid yet at"):
        verify(token, issuer, after)


def test_a_token_of_the_past_is_verified_by_the_time_of_its_approval(issuer: OidcIssuer) -> None:
    past = time.time() - 20 * 86400
    assert verify(issuer.token("modelway", at=past), issuer, -20 * 86400 + 10).subject == PRODUCTION


@pytest.mark.parametrize(
    "token", ["", "a", "a.b.c", "a.b.c.d", "é.b.c", "e30.e30.", "e30.W10.x", "x" * (LONGEST_TOKEN + 1)]
)
def test_what_is_no_token_is_refused(issuer: OidcIssuer, token: str) -> None:
    with pytest.raises(RejectedError, match="the identity token is not valid") as error:
        verify(token, issuer)
    assert error.value.key == "identity-token"


def test_a_policy_can_require_further_claims(issuer: OidcIssuer) -> None:
    claims = {"environment_protected": "true", "run_attempt": "2"}
    assert verify(issuer.token("modelway", environment_protected=True, run_attempt=2), issuer, claims=claims)
    with pytest.raises(RejectedError, match="does not trust the subject"):
        verify(issuer.token("modelway", environment_protected=False, run_attempt=2), issuer, claims=claims)


def test_a_token_is_itself_whatever_its_signature(issuer: OidcIssuer) -> None:
    token = issuer.token("modelway", key="second")
    assert token_id(token) == token_id(f" {token.rpartition('.')[0]}.another\n")
    assert token_id(token) != token_id(issuer.token("modelway", key="second"))
