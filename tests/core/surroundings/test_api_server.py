"""Why an API server refuses, by its answers over real HTTP: credentials, an account without a right, or a rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pod_proxy import listening, status

from modelway.components.core.errors import CredentialsError, ModelwayError
from modelway.components.deploy.cluster import Cluster

DENIED = (
    'rollouts.argoproj.io "loans" is forbidden: User "{}" cannot get resource "rollouts" in API group "argoproj.io"'
)
UNACCEPTED = "does not accept the credentials of the context 'here' (user 'ada')"


def asked(path: Path, answer: tuple[int, Any]) -> ModelwayError:
    """The error of a request that is answered so."""
    with listening() as server:
        server.refusals["rollouts"] = answer
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "one", "user": "ada"}}],
            "clusters": [{"name": "one", "cluster": {"server": server.host}}],
            "users": [{"name": "ada", "user": {"token": "secret-token"}}],
        }
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        with pytest.raises(ModelwayError) as error:
            Cluster.connect("models").get("rollouts", "loans")
    assert "secret-token" not in str(error.value)
    return error.value


@pytest.mark.parametrize(
    ("answer", "kind", "says", "remedy"),
    [
        pytest.param(
            status(401, "Unauthorized"), CredentialsError, UNACCEPTED, "log in to the cluster again", id="401"
        ),
        pytest.param((401, ""), CredentialsError, UNACCEPTED, "log in to the cluster again", id="401 of a proxy"),
        pytest.param(
            status(403, DENIED.format("system:anonymous")), CredentialsError, UNACCEPTED, "log in", id="no credentials"
        ),
        pytest.param(
            status(403, DENIED.format("ada@example.org")),
            CredentialsError,
            "refuses access",
            "bind ada@example.org to the Role modelway-deployer of manifests/base/rbac in the namespace models",
            id="no right",
        ),
        pytest.param(
            status(403, 'pods "a" is forbidden: exceeded quota: the team cannot have more'),
            ModelwayError,
            "rejects the change",
            "fix what it names",
            id="a quota",
        ),
    ],
)
def test_what_is_to_be_done_is_said_by_what_was_answered(
    answer: tuple[int, Any],
    kind: type[ModelwayError],
    says: str,
    remedy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(path))
    error = asked(path, answer)
    assert type(error) is kind
    assert says in error.message
    assert remedy in error.remedy
    if "log in" in remedy:
        assert (error.key, error.file) == ("KUBECONFIG", str(path))
        assert "bind" not in error.remedy
