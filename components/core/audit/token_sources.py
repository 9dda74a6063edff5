"""Where the token comes from that says who approves: a file, the environment, or GitHub Actions."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from modelway.components.core.audit.issuers import fetch_json
from modelway.components.core.audit.tokens import LONGEST_TOKEN
from modelway.components.core.errors import DamagedError, ModelwayError, NotFoundError

# Names of variables, not tokens.
VARIABLE, FILE_VARIABLE = "MODELWAY_IDENTITY_TOKEN", "MODELWAY_IDENTITY_TOKEN_FILE"
_GITHUB = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


@dataclass(frozen=True)
class TokenSource:
    """A place that has, or makes, an identity token.

    Attributes:
        name: What it is called in errors: an option or a variable.
        read: Gets the token; takes the audience, which only some places can choose.
        is_optional: Whether to do without, where the policy trusts nobody: GitHub offers a token to any job that may.
        by: Who the token must be of; empty: whoever it is of.
    """

    name: str
    read: Callable[[str], str]
    is_optional: bool = False
    by: str = ""

    def token(self, audience: str) -> str:
        """The token.

        Raises:
            NotFoundError: there is none.
            DamagedError: it is not the text of a token.
            CredentialsError: GitHub refuses to give one.
            UnavailableError: GitHub cannot be reached.
        """
        text = self.read(audience).strip()
        if not text or len(text) > LONGEST_TOKEN or not text.isascii() or len(text.split()) > 1:
            raise DamagedError(
                f"{self.name} holds no token: it must be the token alone, one line of at most "
                f"{LONGEST_TOKEN // 1024} KiB",
                key=self.name,
                remedy="give the token as the issuer made it, and nothing else",
            )
        return text


def token_source(file: str = "", *, by: str = "") -> TokenSource | None:
    """Where a command's identity token is from; None if none is given.

    In this order: the file that the option names (``-``: standard input), ``MODELWAY_IDENTITY_TOKEN`` (the token),
    ``MODELWAY_IDENTITY_TOKEN_FILE``, and GitHub Actions for a job with ``id-token: write``.

    Args:
        file: The option's value; empty: not given.
        by: Who the token must be of, as `TokenSource.by`.
    """
    if file:
        return TokenSource("--identity-token", lambda _: _read("--identity-token", file), by=by)
    if token := os.environ.get(VARIABLE):
        return TokenSource(VARIABLE, lambda _: token, by=by)
    if path := os.environ.get(FILE_VARIABLE):
        return TokenSource(FILE_VARIABLE, lambda _: _read(FILE_VARIABLE, path), by=by)
    url, bearer = map(os.environ.get, _GITHUB)
    if url and bearer:
        return TokenSource(_GITHUB[0], lambda audience: _request(url, bearer, audience=audience), True, by)
    return None


def _read(name: str, file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read(LONGEST_TOKEN + 2)
        with Path(file).open(encoding="ascii", errors="replace") as stream:
            return stream.read(LONGEST_TOKEN + 2)
    except FileNotFoundError as error:
        raise NotFoundError(
            f"{name} names a file that is not there", file=file, key=name, remedy="name the file that holds the token"
        ) from error
    except OSError as error:
        raise ModelwayError(
            f"the file that {name} names cannot be read: {error.strerror}",
            file=file,
            key=name,
            remedy="let this account read it",
        ) from error


def _request(url: str, bearer: str, *, audience: str) -> str:
    """Requests a token of GitHub Actions for an audience."""
    address = f"{url}{'&' if '?' in url else '?'}audience={quote(audience, safe='')}"
    answer = fetch_json(address, "GitHub's token service", headers={"Authorization": f"Bearer {bearer}"})
    return str(answer.get("value") or "")
