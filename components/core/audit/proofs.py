"""The proof of who approves: an identity token that is verified when it is given, and kept to be verified again.

The entry of an approval keeps the token. That an entry says who approved proves nothing, since whoever writes to the
store can write that: the token is verified at each promotion. It counts once: in the first entry that holds it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.identity import AUDIENCE, IDENTITY, PROOF, bound_audience
from modelway.components.core.audit.issuers import Issuers
from modelway.components.core.audit.people import Person, check_name
from modelway.components.core.audit.requirements import Requirements
from modelway.components.core.audit.token_sources import TokenSource
from modelway.components.core.audit.tokens import token_id, verify_token
from modelway.components.core.errors import CredentialsError, ModelwayError, RejectedError, UnavailableError


def identify(
    source: TokenSource, needs: Requirements, *, environment: str, blessing_sha256: str, entries: Sequence[Entry]
) -> tuple[str, dict[str, str]]:
    """Gets a token and verifies it now, an account of the cluster also by the cluster.

    Args:
        source: Where the token is from.
        needs: The environment's requirements, which say who is trusted.
        environment: The environment.
        blessing_sha256: The blessing that the version has.
        entries: The verified audit log.

    Returns:
        The person's name, and what the entry's details keep.

    Raises:
        RejectedError: the token is not valid, not trusted, or was used before.
        ModelwayError: it cannot be read, is of somebody else than who acts, or a service cannot be reached or refuses.
    """
    if not needs.identities:
        raise RejectedError(
            f"the policy trusts no identities in {environment}, so that {source.name} verifies nobody",
            key=source.name,
            remedy=f"name them in the policy as environments.{environment}.approvals.identities, or give no token",
        )
    bound, issuers = bound_audience(environment, blessing_sha256), Issuers()
    audiences = (bound, AUDIENCE)
    token = source.token(bound)
    identity = verify_token(token, needs.identities, audiences=audiences, at=datetime.now(UTC), issuers=issuers)
    if identity.method == "token-review":
        issuers.review_token(token, audiences=audiences, subject=identity.subject)
    if number := _first_use(token, entries):
        raise RejectedError(
            f"the identity token was used before, in entry {number} of the audit log",
            key=source.name,
            remedy="get a new token: each is for one approval",
        )
    name = check_name(identity.name, source.name)
    if source.by and not Person.of(name).is_same(Person.of(source.by)):
        raise ModelwayError(
            f"the identity token is of {name}, not of {source.by}",
            key="by",
            value=source.by,
            remedy="leave --by out: the token says who it is",
        )
    return name, {IDENTITY: str(identity), PROOF: token}


def proof_flaw(
    entry: Entry, needs: Requirements, *, audiences: Collection[str], entries: Sequence[Entry], issuers: Issuers
) -> str:
    """Why the identity that an approval's entry has is not proved by its token, a clause; empty if it is.

    Args:
        entry: The entry.
        needs: The environment's requirements. If they trust nobody, a token is nothing to them, and no flaw.
        audiences: Those that the token may be for.
        entries: The verified audit log.
        issuers: Where keys are from.

    Raises:
        UnavailableError: an issuer cannot be reached.
        CredentialsError: the cluster refuses access.
    """
    token = entry.details.get(PROOF, "")
    if not token:
        return "its identity is not verified, which the policy requires" if needs.verified else ""
    if not needs.identities:
        return ""
    if (number := _first_use(token, entries)) != entry.number:
        return f"its identity token was used before, in entry {number} of the audit log"
    if any(earlier.time > entry.time for earlier in entries[: entry.number - 1]):
        return "it is dated before an entry that precedes it in the audit log"
    flaw = ""
    try:
        identity = verify_token(token, needs.identities, audiences=audiences, at=entry.time, issuers=issuers)
        if identity.name.strip() != entry.actor or identity.subject not in entry.details.get(IDENTITY, ""):
            flaw = f"its identity token is of {identity.name} ({identity}), which the entry does not say"
    except (UnavailableError, CredentialsError):
        raise
    except ModelwayError as error:
        flaw = error.message
    return flaw


def _first_use(token: str, entries: Sequence[Entry]) -> int:
    """The number of the first entry that holds a token; 0 if none does."""
    used = token_id(token)
    holders = (entry for entry in entries if PROOF in entry.details)
    return next((entry.number for entry in holders if token_id(entry.details[PROOF]) == used), 0)
