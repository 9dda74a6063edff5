"""Attacks by people who may run jobs or write to the store, and want to approve as somebody whom the policy trusts."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from oidc_issuer import PRODUCTION, OidcIssuer, rsa_key
from user_files import minimal_policy

from modelway.components.core.audit.approvals import approve, promotion_blockers, withdraw
from modelway.components.core.audit.identity import AUDIENCE, bound_audience
from modelway.components.core.audit.opened_version import open_version
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.audit.token_sources import TokenSource, token_source
from modelway.components.core.errors import DamagedError, ModelwayError, RejectedError, UnavailableError
from modelway.components.core.storage.mlflow import Tracking

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Case:
    """A version whose policy trusts one job of the issuer, and ways to approve it."""

    def __init__(self, version: ModelVersion, issuer: OidcIssuer) -> None:
        self.version, self.issuer = version, issuer
        self.blessing = open_version(version).blessing_sha256
        self.audience = bound_audience("production", self.blessing)

    def approve(self, token: str = "", by: str = "", **more: Any) -> Any:
        source = TokenSource("--identity-token", lambda _: token, by=by) if token else None
        return approve(self.version, "production", by=by or "dan", reason="good", source=source, **more)

    def write(self, token: str, actor: str = "bob", **details: str) -> None:
        """Writes an approval into the log itself, past `approve`."""
        until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        fields = {"blessing_sha256": self.blessing, "reason": "good", "until": until}
        fields |= {"identity": f"github {PRODUCTION} (actor {actor})", "identity_proof": token}
        self.version.log_event("approved", actor, environment="production", details=fields | details)

    def blockers(self) -> list[str]:
        return promotion_blockers(self.version, "production")

    def refuses(self, token: str, message: str) -> None:
        """Neither `approve` takes the token, nor does an entry count that holds it; neither error has it."""
        with pytest.raises(RejectedError, match=message) as error:
            self.approve(token)
        self.write(token)
        (blocker,) = self.blockers()
        assert "requires 1 approval; 0 are valid" in blocker
        signature = token.rpartition(".")[2]
        assert not signature or signature not in f"{error.value}{error.value.fields()}{blocker}"


@pytest.fixture
def case(
    tracking: Tracking, release: Callable[..., str], issuer: OidcIssuer, tmp_path: Path, request: Any
) -> Callable[..., Case]:
    def released(**approvals: Any) -> Case:
        name = f"identities-{abs(hash(request.node.name)):x}"
        identities = [{"issuer": issuer.url, "subject": PRODUCTION}]
        approvals = {"quorum": 1, "verified": True, "identities": identities} | approvals
        number = release(name, {"production": {"approvals": approvals}}, requested_by="ada")
        return Case(RegisteredModel(name, str(tmp_path / "store"), tracking).version(number), issuer)

    return released


def unsigned(token: str, algorithm: str, secret: bytes = b"") -> str:
    """The token under another algorithm: without signature, or with one by a secret."""
    header = json.dumps({"alg": algorithm, "typ": "JWT", "kid": "first"}).encode()
    content = f"{base64.urlsafe_b64encode(header).rstrip(b'=').decode()}.{token.split('.')[1]}"
    signature = hmac.digest(secret, content.encode(), "sha256") if secret else b""
    return f"{content}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_a_token_of_the_trusted_job_counts_and_is_verified_again(case: Callable[..., Case]) -> None:
    target = case()
    for key in ("first", "second"):
        approval = target.approve(target.issuer.token(target.audience, key=key))
        assert approval.by == "bob"
        assert approval.identity.startswith("http://127.0.0.1")
        assert f"{PRODUCTION} (actor bob, job_workflow_ref acme/claims/" in approval.identity
        assert "identity_proof" not in approval.model_dump()
        target.issuer.requests.clear()
        assert target.blockers() == []
        assert "/jwks" in target.issuer.requests


def test_an_approval_as_given_does_not_count_where_only_verified_ones_do(case: Callable[..., Case]) -> None:
    target = case()
    with pytest.raises(RejectedError, match="counts only verified identities in production"):
        target.approve(by="bob")
    target.write("", identity=f"github {PRODUCTION} (actor bob)")  # that an entry says so proves nothing
    assert "its identity is not verified, which the policy requires" in target.blockers()[0]


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256"])
def test_a_token_needs_a_signature_by_the_issuers_key(case: Callable[..., Case], algorithm: str) -> None:
    target = case()
    public = target.issuer.keys["first"].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    token = target.issuer.token(target.audience)
    target.refuses(unsigned(token, algorithm, pem if algorithm == "HS256" else b""), "not by a key pair of the issuer")


def test_a_key_of_ones_own_is_not_the_issuers(case: Callable[..., Case]) -> None:
    target = case()
    target.refuses(target.issuer.token(target.audience, signer=rsa_key()), "signature is not valid")


@pytest.mark.parametrize("header", ["jwk", "jku"])
def test_a_token_cannot_bring_its_own_key(case: Callable[..., Case], issuer: OidcIssuer, header: str) -> None:
    target, key = case(), rsa_key()
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    headers = {"kid": "first", header: public if header == "jwk" else f"{issuer.url}/own"}
    claims = jwt.decode(issuer.token(target.audience), options={"verify_signature": False})
    target.refuses(jwt.encode(claims, key, "RS256", headers=headers), "signature is not valid")
    assert "/own" not in issuer.requests


def test_a_key_is_for_the_algorithm_that_it_is_published_for(case: Callable[..., Case]) -> None:
    target = case()
    claims = jwt.decode(target.issuer.token(target.audience), options={"verify_signature": False})
    own = ec.generate_private_key(ec.SECP256R1())
    (first, _) = target.issuer.jwks()["keys"]
    target.issuer.replies["/jwks"] = (200, json.dumps({"keys": [first | {"alg": "RS256"}]}).encode(), {})
    target.refuses(jwt.encode(claims, own, "ES256", headers={"kid": "first"}), "signed by ES256, for which the key")


def test_a_short_key_proves_nothing(case: Callable[..., Case]) -> None:
    target = case()
    target.issuer.keys["first"] = rsa.generate_private_key(65537, 1024)  # noqa: S505
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        token = target.issuer.token(target.audience)
    target.refuses(token, "signature is not valid: InvalidKeyError")


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"iss": "https://token.actions.example.org"}, "trusts no identities of the issuer"),
        ({"iss": "kubernetes"}, "trusts no identities of the issuer"),
        ({"iss": None}, "trusts no identities of the issuer"),
        ({"sub": "repo:mallory/claims:environment:production"}, "does not trust the subject"),
        ({"sub": "repo:acme/claims:pull_request"}, "does not trust the subject"),
        ({"sub": "repo:acme/claims:environment:production-2"}, "does not trust the subject"),
        ({"sub": None}, "does not trust the subject"),
        ({"exp": None}, "does not say when"),
        ({"iat": None}, "does not say when"),
        ({"exp": 10**400}, "does not say when"),
        ({"exp": float("nan")}, "does not say when"),
        ({"exp": True}, "does not say when"),
        ({"exp": int(time.time()) + 10**6}, "is valid for 27. hours; at most 24 are allowed"),
        ({"nbf": int(time.time()) + 80_000}, "was not valid yet"),
    ],
)
def test_a_token_says_what_the_policy_trusts(case: Callable[..., Case], claims: dict[str, Any], message: str) -> None:
    target = case()
    target.refuses(target.issuer.token(target.audience, **claims), message)
    assert target.issuer.requests == []  # no key is fetched for what is not trusted anyway


@pytest.mark.parametrize(
    "audience",
    [
        "https://github.com/acme",
        "modelway:staging:{blessing}",
        "modelway:production:" + "b" * 64,
        [AUDIENCE, "https://vault.example.org"],
        [],
        None,
    ],
)
def test_a_token_is_for_this_approval_alone(case: Callable[..., Case], audience: Any) -> None:
    target = case()
    if isinstance(audience, str):
        audience = audience.format(blessing=target.blessing)
    target.refuses(target.issuer.token(audience), "it is for the audience")


@pytest.mark.parametrize("seconds", [-1000, 1000])
def test_a_token_that_is_not_valid_now_is_refused(case: Callable[..., Case], seconds: int) -> None:
    target = case()
    expected = "had expired" if seconds < 0 else "was not valid yet"
    target.refuses(target.issuer.token(target.audience, at=time.time() + seconds), expected)


def test_an_entry_cannot_be_dated_back_into_the_time_of_an_old_token(case: Callable[..., Case]) -> None:
    target = case()
    token = target.issuer.token(target.audience, at=time.time() - 1000)
    target.write(token)
    log = target.version.model.audit_log
    file = Path(log.folder) / "00000002.json"
    entry = json.loads(file.read_bytes()) | {"at": datetime.fromtimestamp(time.time() - 900, UTC).isoformat()}
    file.unlink()
    file.write_text(json.dumps(entry, sort_keys=True, separators=(",", ":")), encoding="utf-8")
    log._witness = None  # who writes to both can move the anchor too
    assert "dated before an entry that precedes it" in target.blockers()[0]


@pytest.mark.parametrize("key", ["first", "second"])
def test_a_token_counts_once(
    case: Callable[..., Case], release: Callable[..., str], issuer: OidcIssuer, key: str
) -> None:
    """With the one audience that fits all approvals, which GitLab and the cluster may use."""
    target = case()
    token = issuer.token(AUDIENCE, key=key)
    target.approve(token)
    assert target.blockers() == []
    identities = [{"issuer": issuer.url, "subject": PRODUCTION}]
    environments = {"production": {"approvals": {"quorum": 1, "verified": True, "identities": identities}}}
    number = release(target.version.name, environments, requested_by="cyd")
    second = Case(target.version.model.version(number), issuer)
    forms = [token, f"{token} "]
    if key == "second":  # the other signature that holds for the same content
        content, _, signature = token.rpartition(".")
        raw = base64.urlsafe_b64decode(signature + "==")
        r, s = int.from_bytes(raw[:32], "big"), P256_ORDER - int.from_bytes(raw[32:], "big")
        twin = base64.urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=").decode()
        forms.append(f"{content}.{twin}")
        jwt.decode(forms[-1], issuer.keys[key].public_key(), algorithms=["ES256"], audience=AUDIENCE)
    for form in forms:
        with pytest.raises(RejectedError, match="was used before, in entry"):
            second.approve(form)
        second.write(form.strip())
        assert "its identity token was used before" in second.blockers()[0]
    assert target.blockers() == []


def test_a_proof_of_somebody_else_proves_nothing(case: Callable[..., Case]) -> None:
    target = case()
    target.write(target.issuer.token(target.audience, actor="cyd"), actor="bob")
    assert "its identity token is of cyd" in target.blockers()[0]
    target.write(target.issuer.token(target.audience), identity="github repo:acme/other:environment:production")
    assert "which the entry does not say" in target.blockers()[0]


def test_one_person_by_hand_and_by_ci_is_no_quorum_of_two(case: Callable[..., Case]) -> None:
    target = case(quorum=2, verified=False)
    target.approve(by="Bob <bob@example.org>")
    target.approve(target.issuer.token(target.audience, actor="bob"))
    assert "requires 2 approvals; 1 is valid" in target.blockers()[0]
    target.approve(by="Bob <bob@example.org>")  # nor does the one by hand take the place of the verified one
    target.approve(target.issuer.token(target.audience, actor="cyd"))
    assert target.blockers() == []


def test_an_approval_by_hand_does_not_displace_a_verified_one(case: Callable[..., Case]) -> None:
    target = case()
    target.approve(target.issuer.token(target.audience))
    target.write("")
    assert target.blockers() == []


def test_self_approval_through_ci_stays_forbidden(case: Callable[..., Case]) -> None:
    target = case()
    token = target.issuer.token(target.audience, actor="Ada")
    target.refuses(token, "asked for the run, and the policy forbids self-approval")


def test_approvers_hold_for_verified_people_too(case: Callable[..., Case]) -> None:
    target = case(approvers=["cyd@example.org"])
    target.refuses(target.issuer.token(target.audience), "not among the approvers")
    target.approve(target.issuer.token(target.audience, actor="cyd"))
    assert target.blockers() == []


def test_a_token_is_not_of_whom_the_option_names(case: Callable[..., Case]) -> None:
    target = case()
    with pytest.raises(ModelwayError, match=r"of bob, not of cyd@example\.org") as error:
        target.approve(target.issuer.token(target.audience), by="cyd@example.org")
    assert error.value.key == "by"


def test_an_actor_in_disguise_is_refused(case: Callable[..., Case]) -> None:
    target = case()
    with pytest.raises(ModelwayError, match="invisible character"):
        target.approve(target.issuer.token(target.audience, actor="a\u200bda"))


def test_a_promoters_policy_trusts_nobody_more(case: Callable[..., Case]) -> None:
    target = case()
    wider = [{"issuer": target.issuer.url, "subject": subject} for subject in (PRODUCTION, "repo:mallory/x:ref:main")]
    policy = minimal_policy(environments={"production": {"approvals": {"quorum": 0, "identities": wider}}})
    with pytest.raises(RejectedError, match="does not trust the subject"):
        target.approve(target.issuer.token(target.audience, sub="repo:mallory/x:ref:main"), policy=policy)
    target.approve(target.issuer.token(target.audience), policy=policy)
    assert promotion_blockers(target.version, "production", policy=policy) == []


def test_a_replaced_key_proves_nothing_any_more(case: Callable[..., Case]) -> None:
    """Whoever got hold of an old key that the issuer withdrew."""
    target = case()
    target.approve(target.issuer.token(target.audience))
    target.issuer.keys.pop("first")
    assert "or no longer does" in target.blockers()[0]
    target.approve(target.issuer.token(target.audience, key="second"))
    assert target.blockers() == []


@pytest.mark.parametrize(
    ("path", "reply", "kind", "message"),
    [
        ("/jwks", (302, b"", {"Location": "{other}/jwks"}), UnavailableError, "redirects are not followed"),
        ("/jwks", (200, b"x" * 300_000, {}), DamagedError, "larger than 256 KiB"),
        ("/jwks", (200, b"[" * 100_000, {}), DamagedError, "is not JSON"),
        ("/jwks", (200, b'{"keys": "none"}', {}), DamagedError, "no list of keys"),
        ("/jwks", (500, b"", {}), UnavailableError, "answers 500"),
        (
            "/.well-known/openid-configuration",
            (200, b'{"issuer": "https://example.org", "jwks_uri": "https://example.org"}', {}),
            DamagedError,
            "it says that it is 'https://example.org'",
        ),
    ],
)
def test_an_issuer_that_is_taken_over_or_broken_verifies_nobody(
    case: Callable[..., Case], path: str, reply: Any, kind: type[ModelwayError], message: str
) -> None:
    target, other = case(), OidcIssuer()
    status, body, headers = reply
    target.issuer.replies[path] = (status, body, {key: value.format(other=other.url) for key, value in headers.items()})
    with pytest.raises(kind, match=message):
        target.approve(target.issuer.token(target.audience))
    assert other.requests == []
    other.close()


@pytest.mark.parametrize("address", ["http://keys.example.org/jwks", "file:///etc/passwd", "https://a@b/jwks", ""])
def test_keys_are_fetched_by_https_only(case: Callable[..., Case], address: str) -> None:
    target = case()
    content = json.dumps({"issuer": target.issuer.url, "jwks_uri": address}).encode()
    target.issuer.replies["/.well-known/openid-configuration"] = (200, content, {})
    with pytest.raises(DamagedError, match="cannot be fetched"):
        target.approve(target.issuer.token(target.audience))


def test_an_issuer_that_cannot_be_reached_is_no_refusal(case: Callable[..., Case]) -> None:
    target = case()
    token = target.issuer.token(target.audience)
    target.approve(token)
    target.issuer.close()
    with pytest.raises(UnavailableError) as error:
        target.blockers()
    assert token not in str(error.value)


def test_a_withdrawal_by_a_token_is_of_its_person(case: Callable[..., Case]) -> None:
    target = case()
    target.approve(target.issuer.token(target.audience))

    def take_back(token: str) -> Any:
        source = TokenSource("--identity-token", lambda _: token)
        return withdraw(target.version, "production", by="bob", reason="no", source=source)

    with pytest.raises(ModelwayError, match="cyd has no approval"):
        take_back(target.issuer.token(target.audience, actor="cyd"))
    assert target.blockers() == []
    assert take_back(target.issuer.token(target.audience)).actor == "bob"
    assert "0 are valid" in target.blockers()[0]


def test_a_job_of_github_gets_a_token_for_this_approval_only(
    case: Callable[..., Case], issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = case()
    for name, value in issuer.job().items():
        monkeypatch.setenv(name, value)
    approval = approve(target.version, "production", by="root", reason="good", source=token_source())
    assert approval.by == "bob"
    assert any(target.audience.replace(":", "%3A") in path for path in issuer.requests)
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-another-job")
    with pytest.raises(ModelwayError, match="GitHub's token service does not accept the job's credentials") as error:
        approve(target.version, "production", by="root", reason="good", source=token_source())
    assert "of-another-job" not in str(error.value)
