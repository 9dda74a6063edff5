"""Verifies identity tokens: signed JWTs of an issuer that the policy trusts, for one approval, at one time.

A token is verified when an approval is recorded and again, from the log, at each promotion. What is compared is
therefore the time of the approval, not the present, and the issuer's keys of the day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from modelway.components.core.audit.identity import VerifiedIdentity, is_trusted
from modelway.components.core.audit.issuers import ALGORITHMS, Issuers
from modelway.components.core.config.deploy_policy import KUBERNETES, TrustedIdentity
from modelway.components.core.errors import RejectedError

LONGEST_TOKEN = 16 * 1024
LEEWAY_SECONDS = 60
LONGEST_SECONDS = 24 * 3600  # a token stays in the log: one that is valid for long could be used elsewhere for long
_LATEST = 2**40  # seconds since 1970: what is greater is no time, nor is NaN less
_REQUIRED = ["iss", "sub", "aud", "exp", "iat"]


def token_id(token: str) -> str:
    """What makes a token itself: the SHA-256 of what is signed, since signatures can be rewritten and still hold."""
    return hashlib.sha256(token.strip().rpartition(".")[0].encode()).hexdigest()


def verify_token(
    token: str,
    trusted: Sequence[Sequence[TrustedIdentity]],
    *,
    audiences: Collection[str],
    at: datetime,
    issuers: Issuers,
) -> VerifiedIdentity:
    """Verifies a token's issuer, subject, audience, time and signature.

    Keys are fetched from an issuer only after the policy is found to trust what the token says.

    Args:
        token: The token, a JWT.
        trusted: Lists of identities: the token must agree with one of each.
        audiences: Those that the token may be for; it may be for no others.
        at: When it was used.
        issuers: Where keys are from.

    Raises:
        RejectedError: the token is not valid, or not trusted; says why, without the token.
        DamagedError: the issuer's keys cannot be read.
        UnavailableError: the issuer or the cluster cannot be reached.
        CredentialsError: the cluster refuses access.
    """
    import jwt
    from jwt.exceptions import PyJWTError

    try:
        if len(token) > LONGEST_TOKEN:
            raise _rejected(f"it is longer than {LONGEST_TOKEN // 1024} KiB")
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except (PyJWTError, ValueError, RecursionError) as error:
        raise _rejected("it is not a signed JWT (header.payload.signature)") from error
    algorithm = str(header.get("alg"))
    if algorithm not in ALGORITHMS:
        raise _rejected(f"it is signed by {algorithm[:20]!r}, not by a key pair of the issuer")
    issuer = _issuer(claims, trusted, issuers=issuers)
    if not is_trusted(issuer, claims, lists=trusted):
        raise _rejected(
            f"the policy does not trust the subject {_quoted(claims.get('sub'))} of {issuer} with these claims",
            remedy="approve from the job or account that `identities` of the policy names",
        )
    _check_audience(claims.get("aud"), audiences)
    _check_time(claims, at)
    key = issuers.key(issuer, str(header.get("kid")), algorithm)
    try:
        options: Any = {"require": _REQUIRED, "enforce_minimum_key_length": True}
        options |= dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_aud"), False)  # by _check_*
        claims = jwt.decode(token, key, algorithms=[algorithm], options=options)
    except PyJWTError as error:
        raise _rejected(f"its signature is not valid: {type(error).__name__}") from error
    return VerifiedIdentity.of(issuer, claims)


def _issuer(claims: Mapping[str, Any], trusted: Sequence[Sequence[TrustedIdentity]], *, issuers: Issuers) -> str:
    """The issuer as the policy calls it."""
    issuer = claims.get("iss")
    names = {identity.issuer for identities in trusted for identity in identities}
    if isinstance(issuer, str) and issuer != KUBERNETES:
        if issuer in names:
            return issuer
        if KUBERNETES in names and issuer == issuers.cluster_issuer:
            return KUBERNETES
    raise _rejected(
        f"the policy trusts no identities of the issuer {_quoted(issuer)}",
        remedy="name the issuer in `identities` of the policy, or give a token of one that it names",
    )


def _check_audience(audience: object, audiences: Collection[str]) -> None:
    values = audience if isinstance(audience, list) else [audience]
    if not values or not all(value in audiences for value in values):
        raise _rejected(
            f"it is for the audience {_quoted(audience)}, not for {' or '.join(sorted(audiences, reverse=True))} alone",
            remedy="request the token for that audience: a token for others could be used by them",
        )


def _check_time(claims: Mapping[str, Any], at: datetime) -> None:
    begin, end, earliest = (_seconds(claims, name) for name in ("iat", "exp", "nbf"))
    if begin is None or end is None:
        raise _rejected("it does not say when it was issued and when it ends")
    if end - begin > LONGEST_SECONDS:
        raise _rejected(
            f"it is valid for {(end - begin) / 3600:.0f} hours; at most {LONGEST_SECONDS // 3600} are allowed"
        )
    begin, now = max(begin, earliest or begin), at.timestamp()
    if not begin - LEEWAY_SECONDS <= now <= end + LEEWAY_SECONDS:
        problem = "was not valid yet" if now < begin else "had expired"
        raise _rejected(f"it {problem} at {at.astimezone(UTC):%Y-%m-%d %H:%M:%S UTC}")


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        return None
    return float(value)


def _quoted(value: object) -> str:
    return repr(str(value)[:200])


def _rejected(problem: str, *, remedy: str = "") -> RejectedError:
    return RejectedError(
        f"the identity token is not valid: {problem}", key="identity-token", remedy=remedy or "give a new token"
    )
