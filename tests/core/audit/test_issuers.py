from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
from oidc_issuer import OidcIssuer

from modelway.components.core.audit import issuers
from modelway.components.core.audit.issuers import Issuers, fetch_json
from modelway.components.core.errors import CredentialsError, DamagedError, RejectedError, UnavailableError


def test_an_issuer_is_asked_once_for_all_its_keys(issuer: OidcIssuer) -> None:
    issuers = Issuers()
    first, second = issuers.key(issuer.url, "first", "RS256"), issuers.key(issuer.url, "second", "ES256")
    assert (first.algorithm_name, second.algorithm_name) == ("RS256", "ES256")
    assert issuer.requests == ["/.well-known/openid-configuration", "/jwks"]


@pytest.mark.parametrize(
    ("key", "algorithm", "kind"), [("third", "RS256", RejectedError), ("first", "ES256", DamagedError)]
)
def test_a_key_that_is_not_there_or_not_of_the_kind_is_none(
    issuer: OidcIssuer, key: str, algorithm: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=f"the key '{key}'"):
        Issuers().key(issuer.url, key, algorithm)


def test_keys_that_are_secrets_or_to_encrypt_verify_nothing(issuer: OidcIssuer) -> None:
    secret = b'{"keys": [{"kty": "oct", "k": "AAAA", "kid": "a"}, {"kty": "RSA", "use": "enc", "kid": "b"}]}'
    issuer.replies["/jwks"] = (200, secret, {})
    with pytest.raises(RejectedError, match="for which the key 'a'"):
        Issuers().key(issuer.url, "a", "HS256")
    with pytest.raises(RejectedError, match="does not publish the key 'b'"):
        Issuers().key(issuer.url, "b", "RS256")


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps a connection from timing out, so the whole has a limit too."""
    monkeypatch.setattr(issuers, "_TOTAL_SECONDS", 0.5)
    server = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(100):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return
                time.sleep(0.1)

    thread = threading.Thread(target=drip)
    thread.start()
    started_at = time.monotonic()
    with pytest.raises(UnavailableError, match="took more than"):
        fetch_json(f"http://127.0.0.1:{server.getsockname()[1]}/", "the issuer")
    assert time.monotonic() - started_at < 5
    thread.join()
    server.close()


def test_no_password_of_a_netrc_is_sent(issuer: OidcIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ada password secret\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(CredentialsError, match="the service does not accept the job's credentials: it answers 401"):
        fetch_json(f"{issuer.url}/token?audience=a", "the service", headers={})
    assert issuer.authorizations == [None]


def test_a_cluster_that_is_away_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    content = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "a", "user": {"token": "nobody"}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(UnavailableError, match="API server cannot be reached"):
        Issuers().key("kubernetes", "a", "RS256")
    with pytest.raises(UnavailableError, match="API server cannot be reached"):
        Issuers().review_token("a.b.c", audiences=["modelway"], subject="a")
