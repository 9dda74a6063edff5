"""`modelway approve`."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from office import ADA, BOB, Office
from oidc_issuer import PRODUCTION, OidcIssuer
from small_projects import edit_yaml


def test_nobody_approves_their_own_run(office: Office) -> None:
    arguments = ("approve", "1", "--to", "production", "-m", "fewer alarms")
    assert "ada@example.org asked for the run" in office(*arguments, by=ADA).stderr
    answer = office.read_json(*arguments)
    assert (answer["approval"]["by"], answer["approval"]["reason"]) == (BOB, "fewer alarms")
    assert all("approv" not in refusal for refusal in answer["refusals"])
    assert "does not approve version 1" in office(*arguments, "--withdraw").stdout
    checked = office.read_json("promote", "1", "--to", "production", "--check", code=1)
    assert any("approv" in refusal for refusal in checked["refusals"])
    assert [entry["event"] for entry in office.read_json("audit", "log")] == ["registered", "approved", "withdrawn"]


def test_an_approval_says_what_is_still_missing(office: Office) -> None:
    arguments = ("approve", "1", "--to", "production", "-m", "fewer alarms")
    until = (datetime.now(UTC) + timedelta(days=2)).isoformat(timespec="seconds")
    answer = office.read_json(*arguments, "--until", until)
    assert (answer["approval"]["version"], answer["approval"]["until"]) == ("1", until)
    assert len(answer["refusals"]) == 1
    assert "staging" in answer["refusals"][0]
    withdrawal = office.read_json(*arguments, "--withdraw")
    assert withdrawal["event"] == "withdrawn"
    assert withdrawal["details"] == {"reason": "fewer alarms", "identity": "as given, not verified"}


@pytest.fixture
def trusted(office: Office, issuer: OidcIssuer) -> OidcIssuer:
    """The issuer, whose job for production the project's policy trusts alone."""
    approvals = {"quorum": 1, "verified": True, "identities": [{"issuer": issuer.url, "subject": PRODUCTION}]}
    edit_yaml(office.folder / "policy.yaml", {"environments": {"production": {"approvals": approvals}}})
    return issuer


APPROVE = ("approve", "1", "--to", "production", "-m", "fewer alarms")


def test_a_job_approves_by_its_token_and_everything_says_so_but_the_token(office: Office, trusted: OidcIssuer) -> None:
    trusted.job_claims = {"actor": "cyd"}
    answer = office.read_json(*APPROVE, by="runner", **trusted.job())
    assert answer["approval"]["by"] == "cyd"
    identity = answer["approval"]["identity"]
    assert identity.startswith(f"{trusted.url} {PRODUCTION} (actor cyd, job_workflow_ref acme/claims/")
    assert not any("approval" in refusal for refusal in answer["refusals"])  # it has not been in staging
    entry = office.read_json("audit", "log")[-1]
    assert (entry["actor"], entry["details"]["identity"]) == ("cyd", identity)
    checked = office("promote", "1", "--to", "production", "--check")
    assert f"identity: {identity}" in checked.stdout
    assert f"identity={identity}" in office("audit", "log", COLUMNS="900").stdout
    token = json.loads((office.folder / ".modelway" / "audit" / "00000002.json").read_bytes())["details"]
    printed = checked.stdout + office("audit", "log").stdout + office("audit", "log", "--json").stdout
    assert token["identity_proof"] not in printed
    assert token["identity_proof"].rpartition(".")[2][:20] not in printed


@pytest.mark.parametrize("place", ["option", "standard input", "variable", "file of a variable"])
def test_any_job_with_a_token_approves(office: Office, trusted: OidcIssuer, place: str) -> None:
    token, file = trusted.token("modelway", actor="cyd"), office.folder / "token"
    file.write_text(f"{token}\n", encoding="utf-8")
    variables = {
        "variable": {"MODELWAY_IDENTITY_TOKEN": token},
        "file of a variable": {"MODELWAY_IDENTITY_TOKEN_FILE": str(file)},
    }.get(place, {})
    options = {"option": ("--identity-token", str(file)), "standard input": ("--identity-token", "-")}.get(place, ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO(f"{token}\n"))
        assert "cyd approves version 1" in office(*APPROVE, *options, **variables).stdout
        again = office(*APPROVE, *options, **variables)
    if place != "standard input":
        assert (again.returncode, "was used before, in entry 2" in again.stderr) == (1, True)


def test_without_a_token_a_policy_of_verified_identities_lets_nobody_approve(
    office: Office, trusted: OidcIssuer
) -> None:
    refused = office(*APPROVE)
    assert refused.returncode == 1
    assert "counts only verified identities in production, and no identity token is given" in refused.stderr
    missing = office(*APPROVE, "--identity-token", "missing.jwt")
    assert (missing.returncode, "missing.jwt" in missing.stderr) == (2, True)
    (office.folder / "two.jwt").write_text("a.b.c d.e.f", encoding="utf-8")
    wrong = office(*APPROVE, "--identity-token", "two.jwt")
    assert (wrong.returncode, "holds no token" in wrong.stderr, "a.b.c" in wrong.stderr) == (2, True, False)
    assert trusted.requests == []


def test_a_job_that_may_have_a_token_approves_as_given_where_the_policy_trusts_nobody(
    office: Office, issuer: OidcIssuer
) -> None:
    answer = office.read_json(*APPROVE, **issuer.job())
    assert (answer["approval"]["by"], answer["approval"]["identity"]) == (BOB, "as given, not verified")
    refused = office(*APPROVE, MODELWAY_IDENTITY_TOKEN=issuer.token("modelway"))
    assert (refused.returncode, "trusts no identities in production" in refused.stderr) == (1, True)
    assert issuer.requests == []
