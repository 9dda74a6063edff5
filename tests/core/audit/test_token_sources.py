from __future__ import annotations

from pathlib import Path

import pytest
from oidc_issuer import OidcIssuer

from modelway.components.core.audit.token_sources import FILE_VARIABLE, VARIABLE, token_source
from modelway.components.core.errors import DamagedError, ModelwayError, NotFoundError

AUDIENCE = "modelway:production:ab&c=d"


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (VARIABLE, FILE_VARIABLE, "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def test_the_option_is_before_the_variables_and_github_is_last(
    issuer: OidcIssuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert token_source() is None
    places = []
    for name, value in issuer.job().items():
        monkeypatch.setenv(name, value)
    (tmp_path / "token").write_text("of-a-file\n", encoding="utf-8")
    source = token_source()
    assert source is not None
    assert source.is_optional
    assert source.token(AUDIENCE).count(".") == 2
    assert issuer.requests == ["/token?api-version=2.0&audience=modelway%3Aproduction%3Aab%26c%3Dd"]
    for name, value in ((FILE_VARIABLE, str(tmp_path / "token")), (VARIABLE, "of-a-variable")):
        monkeypatch.setenv(name, value)
        source = token_source()
        assert source is not None
        places.append((source.name, source.token(AUDIENCE), source.is_optional))
    source = token_source(str(tmp_path / "token"), by="bob")
    assert source is not None
    places.append((source.name, source.token(AUDIENCE), source.is_optional))
    assert places == [
        (FILE_VARIABLE, "of-a-file", False),
        (VARIABLE, "of-a-variable", False),
        ("--identity-token", "of-a-file", False),
    ]
    assert source.by == "bob"


@pytest.mark.parametrize("content", [b"", b" \n", b"a.b.c\nd.e.f", b"a.b.\xff", b"x" * 20_000])
def test_a_file_that_holds_no_token_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    source = token_source(str(file))
    assert source is not None
    with pytest.raises(DamagedError, match="--identity-token holds no token"):
        source.token(AUDIENCE)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for file, kind in ((tmp_path / "none", NotFoundError), (tmp_path, ModelwayError)):
        source = token_source(str(file))
        assert source is not None
        with pytest.raises(kind) as error:
            source.token(AUDIENCE)
        assert (error.value.file, error.value.key) == (str(file), "--identity-token")
