"""A kubeconfig file that does not work is named with what is wrong with it; no other error comes out."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelway.components.core.errors import SetupError
from modelway.components.core.surroundings.kubeconfig import api_client, cluster_configuration

NONSENSE = base64.b64encode(b"nonsense").decode()


def kubeconfig(
    user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None, **keys: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "one", "user": "ada"}}],
        "clusters": [{"name": "one", "cluster": {"server": "https://127.0.0.1:1", **(cluster or {})}}],
        "users": [{"name": "ada", "user": user or {"token": "t"}}],
        **{name.replace("_", "-"): value for name, value in keys.items()},
    }


def plugin(command: str) -> dict[str, Any]:
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": command, "interactiveMode": "Never"}}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"a: [b", "it is not a kubeconfig file", id="no YAML"),
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"- a", "it is not a kubeconfig file", id="a list"),
        pytest.param(b"hello", "it is not a kubeconfig file", id="a text"),
        pytest.param(b"\xff\xfe\x00", "it is not a kubeconfig file", id="binary"),
        pytest.param(b"[" * 5000, "it is not a kubeconfig file", id="deep"),
        pytest.param(kubeconfig(current_context=""), "contexts list", id="no current context"),
        pytest.param(kubeconfig(current_context="there"), "Expected object with name there", id="unknown context"),
        pytest.param(kubeconfig(clusters=[]), "Expected object with name one", id="no such cluster"),
        pytest.param(kubeconfig(clusters=None), "clusters", id="no clusters"),
        pytest.param(kubeconfig(cluster={"server": "nowhere"}), "server is no address: 'nowhere'", id="no address"),
        pytest.param(
            kubeconfig(cluster={"certificate-authority": "/nowhere/ca.pem"}), "/nowhere/ca.pem", id="no certificate"
        ),
        pytest.param(
            kubeconfig(cluster={"certificate-authority-data": NONSENSE}), "cannot be read", id="nonsense certificate"
        ),
        pytest.param(
            kubeconfig({"client-certificate-data": NONSENSE, "client-key-data": NONSENSE}),
            "a certificate or key that it names cannot be read",
            id="nonsense key",
        ),
        pytest.param(
            kubeconfig(plugin("no-such-plugin")), "its credentials' plugin fails: [Errno 2]", id="missing plugin"
        ),
        pytest.param(kubeconfig(plugin("false")), "its credentials' plugin fails", id="failing plugin"),
    ],
)
def test_a_file_that_does_not_work_is_named(
    content: bytes | dict[str, Any],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "kubeconfig"
    file.write_bytes(content if isinstance(content, bytes) else yaml.safe_dump(content).encode())
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(SetupError) as error:
        cluster_configuration()
    assert error.value.message.startswith("no cluster is configured: ")
    assert says in error.value.message
    assert (error.value.key, error.value.file) == ("KUBECONFIG", str(file))
    assert capfd.readouterr().err == ""


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(SetupError) as error:
        cluster_configuration()
    assert error.value.file == str(tmp_path / "none")


def test_a_file_that_works_is_read_and_no_handler_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig()), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    handlers = list(logging.getLogger().handlers)
    settings = cluster_configuration()
    assert settings is not None
    assert settings.host == "https://127.0.0.1:1"
    assert logging.getLogger().handlers == handlers


@pytest.mark.parametrize("home", ["empty", None])
def test_nothing_that_names_a_cluster_is_none(
    home: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HOME"):
        monkeypatch.delenv(name, raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", str(tmp_path))
    else:
        monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as it does for an account without a home
    assert cluster_configuration() is None


def test_who_needs_a_cluster_where_none_is_named_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SetupError, match="no cluster is configured: there is no kubeconfig file") as error:
        api_client()
    assert error.value.key == "KUBECONFIG"
