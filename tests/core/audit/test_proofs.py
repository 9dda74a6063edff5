from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from oidc_issuer import PRODUCTION, OidcIssuer

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.issuers import Issuers
from modelway.components.core.audit.proofs import identify, proof_flaw
from modelway.components.core.audit.requirements import Requirements
from modelway.components.core.audit.token_sources import TokenSource
from modelway.components.core.config.deploy_policy import TrustedIdentity
from modelway.components.core.errors import RejectedError


def requirements(issuer: OidcIssuer, **more: Any) -> Requirements:
    identities = ((TrustedIdentity(issuer=issuer.url, subject=PRODUCTION),),)
    return Requirements(1, False, 30, (), **{"identities": identities, **more})


def entry(number: int = 1, actor: str = "bob", **details: str) -> Entry:
    at = datetime.now(UTC).isoformat()
    about: Any = {"model": "loans", "version": "1", "environment": "production", "event": "approved"}
    return Entry(number=number, previous="0" * 64, at=at, actor=actor, details=details, nonce="0", **about)


def flaw(needs: Requirements, *entries: Entry) -> str:
    """What is wrong with the proof of the last entry."""
    return proof_flaw(entries[-1], needs, audiences=("modelway",), entries=entries, issuers=Issuers())


def test_what_identify_keeps_is_proved_again(issuer: OidcIssuer) -> None:
    needs, audiences = requirements(issuer), []

    def read(audience: str) -> str:
        audiences.append(audience)
        return issuer.token(audience)

    source = TokenSource("a job", read)
    name, details = identify(source, needs, environment="production", blessing_sha256="ab", entries=[])
    assert (name, audiences) == ("bob", ["modelway:production:ab"])
    approval = entry(**details)
    assert len(details["identity_proof"]) > 500
    again = proof_flaw(approval, needs, audiences=audiences, entries=[approval], issuers=Issuers())
    assert again == ""
    assert "it is for the audience" in flaw(needs, approval)
    same = TokenSource("a file", lambda _: details["identity_proof"])
    with pytest.raises(RejectedError, match="was used before, in entry 1"):
        identify(same, needs, environment="production", blessing_sha256="ab", entries=[approval])


def test_where_nobody_is_trusted_a_token_is_neither_proof_nor_flaw(issuer: OidcIssuer) -> None:
    nobody = Requirements(1, False, 30, ())
    assert flaw(nobody, entry(identity_proof="no token at all")) == ""
    source = TokenSource("MODELWAY_IDENTITY_TOKEN", lambda _: issuer.token("modelway"))
    with pytest.raises(RejectedError, match="trusts no identities in production") as error:
        identify(source, nobody, environment="production", blessing_sha256="ab", entries=[])
    assert "environments.production.approvals.identities" in error.value.remedy


def test_a_name_as_given_is_a_flaw_only_where_the_policy_says_so(issuer: OidcIssuer) -> None:
    assert flaw(requirements(issuer), entry()) == ""
    assert "not verified" in flaw(requirements(issuer, verified=True), entry())


def test_a_token_counts_in_its_first_entry_whatever_that_is_about(issuer: OidcIssuer) -> None:
    needs, token = requirements(issuer), issuer.token("modelway")
    details = {"identity": f"x {PRODUCTION}", "identity_proof": token}
    withdrawal = entry(1, **details).model_copy(update={"event": "withdrawn", "model": "another"})
    assert "used before, in entry 1" in flaw(needs, withdrawal, entry(2, **details))
    assert flaw(needs, entry(1), entry(2, **details)) == ""
