"""An OpenID Connect issuer on this machine: discovery, keys, and GitHub's endpoint that gives a job its token."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

PRODUCTION = "repo:acme/claims:environment:production"
JOB_BEARER = "what-github-gives-the-job"


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


FIRST, SECOND = rsa_key(), ec.generate_private_key(ec.SECP256R1())


class OidcIssuer:
    """An issuer with an RSA key `first` and an EC key `second`."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"first": FIRST, "second": SECOND}
        self.replies: dict[str, tuple[int, bytes, dict[str, str]]] = {}  # instead of what it says, by path
        self.requests: list[str] = []
        self.authorizations: list[str | None] = []
        self.job_claims: dict[str, Any] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                issuer.authorizations.append(self.headers.get("Authorization"))
                status, body, headers = issuer.reply(self.path, self.headers)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def jwks(self) -> dict[str, Any]:
        keys = []
        for key_id, key in self.keys.items():
            algorithm: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
            public = algorithm.to_jwk(key.public_key(), as_dict=True)
            keys.append({**public, "kid": key_id, "use": "sig"})
        return {"keys": keys}

    def reply(self, path: str, headers: Mapping[str, str]) -> tuple[int, bytes, dict[str, str]]:
        parts = urlsplit(path)
        if parts.path in self.replies:
            return self.replies[parts.path]
        content: Any = None
        if parts.path == "/.well-known/openid-configuration":
            content = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}
        elif parts.path == "/jwks":
            content = self.jwks()
        elif parts.path == "/token":  # as GitHub's: the job's bearer, and the audience beside what the address has
            if headers.get("Authorization", "").casefold() != f"bearer {JOB_BEARER}".casefold():
                return 401, b"{}", {}
            (audience,) = parse_qs(parts.query)["audience"]
            content = {"value": self.token(audience, **self.job_claims), "count": 1}
        return (404, b"", {}) if content is None else (200, json.dumps(content).encode(), {})

    def token(
        self, audience: Any, key: str = "first", signer: Any = None, at: float | None = None, **claims: Any
    ) -> str:
        """A token as GitHub gives it to a job of acme/claims; claims that are None are left out."""
        now = int(time.time() if at is None else at)
        content: dict[str, Any] = {
            "iss": self.url,
            "sub": PRODUCTION,
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            "repository": "acme/claims",
            "environment": "production",
            "actor": "bob",
            "job_workflow_ref": "acme/claims/.github/workflows/approve.yml@refs/heads/main",
            "run_id": "4711",
            "jti": f"{time.time_ns()}",
            **claims,
        }
        content = {name: value for name, value in content.items() if value is not None}
        signer = signer or self.keys[key]
        algorithm = "ES256" if isinstance(signer, ec.EllipticCurvePrivateKey) else "RS256"
        return jwt.encode(content, signer, algorithm, headers={"kid": key})

    def job(self) -> dict[str, str]:
        """The variables of a job of GitHub Actions with `id-token: write`."""
        url = f"{self.url}/token?api-version=2.0"
        return {"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": JOB_BEARER}
