"""Accounts of the cluster approve by their tokens, which the cluster itself reviews."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kube import kubectl, kubectl_json

from modelway.components.core.audit.approvals import approve, promotion_blockers
from modelway.components.core.audit.identity import AUDIENCE, bound_audience
from modelway.components.core.audit.opened_version import open_version
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.audit.token_sources import FILE_VARIABLE, token_source
from modelway.components.core.errors import CredentialsError, RejectedError
from modelway.components.core.storage.mlflow import Tracking

pytestmark = pytest.mark.cluster


@pytest.fixture
def version(namespace: str, tracking: Tracking, release: Callable[..., str], tmp_path: Path) -> ModelVersion:
    """A version that the account `approver` of the namespace may approve."""
    for account in ("approver", "other"):
        kubectl("create", "serviceaccount", account, "-n", namespace)
    identities = [{"issuer": "kubernetes", "subject": f"system:serviceaccount:{namespace}:approver"}]
    environments = {"production": {"approvals": {"quorum": 1, "verified": True, "identities": identities}}}
    name = f"reviewed-{namespace}"
    return RegisteredModel(name, str(tmp_path / "store"), tracking).version(release(name, environments))


@pytest.fixture
def approve_as(version: ModelVersion, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def approve_by_token(token: str = "", account: str = "approver", audience: str = AUDIENCE) -> Any:
        token = token or kubectl("create", "token", account, "-n", namespace, "--audience", audience)
        file = tmp_path / "token"
        file.write_text(token, encoding="utf-8")
        monkeypatch.setenv(FILE_VARIABLE, str(file))
        return approve(version, "production", by="root", reason="good", source=token_source())

    return approve_by_token


def test_an_accounts_approval_is_reviewed_and_verified_again(
    version: ModelVersion, namespace: str, approve_as: Any
) -> None:
    subject = f"system:serviceaccount:{namespace}:approver"
    audience = bound_audience("production", open_version(version).blessing_sha256)
    approval = approve_as(audience=audience)
    assert (approval.by, approval.identity) == (subject, f"kubernetes {subject}")
    assert promotion_blockers(version, "production") == []
    approve_as()
    kubectl("delete", "serviceaccount", "approver", "-n", namespace)
    assert promotion_blockers(version, "production") == []  # it was valid when it was given


def test_a_token_for_others_or_of_another_account_is_refused(version: ModelVersion, approve_as: Any) -> None:
    issuer = json.loads(kubectl("get", "--raw", "/.well-known/openid-configuration"))["issuer"]
    for audience in (issuer, "https://vault.example.org"):  # the first is what the API server itself takes
        with pytest.raises(RejectedError, match="it is for the audience"):
            approve_as(audience=audience)
    with pytest.raises(RejectedError, match="does not trust the subject"):
        approve_as(account="other")
    assert len(promotion_blockers(version, "production")) == 1


def test_the_token_of_a_deleted_account_is_refused(namespace: str, approve_as: Any) -> None:
    token = kubectl("create", "token", "approver", "-n", namespace, "--audience", AUDIENCE)
    kubectl("delete", "serviceaccount", "approver", "-n", namespace)
    with pytest.raises(RejectedError, match="the cluster does not accept the token of") as error:
        approve_as(token)
    assert token not in str(error.value)


def test_who_may_not_review_is_told_so(
    version: ModelVersion, namespace: str, approve_as: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account may read the cluster's keys, as each may, and needs one more right to approve."""
    configuration = kubectl_json("config", "view", "--raw", "--minify", "--flatten")
    own = kubectl("create", "token", "other", "-n", namespace)
    configuration["users"] = [{"name": configuration["users"][0]["name"], "user": {"token": own}}]
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(configuration), encoding="utf-8")
    token = kubectl("create", "token", "approver", "-n", namespace, "--audience", AUDIENCE)
    with monkeypatch.context() as patch:
        patch.setenv("KUBECONFIG", str(file))
        with pytest.raises(
            CredentialsError, match=r"does not let system:serviceaccount:\S+:other create tokenreviews\.authentication"
        ):
            approve_as(token)
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"modelway-token-reviewer-{namespace}"},
        "rules": [{"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}],
    }
    name = role["metadata"]["name"]  # type: ignore[index]
    kubectl("apply", "-f", "-", content=role)
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount={namespace}:other")
    try:
        with monkeypatch.context() as patch:
            patch.setenv("KUBECONFIG", str(file))
            approve_as(token)
            assert promotion_blockers(version, "production") == []
    finally:
        kubectl("delete", "clusterrolebinding,clusterrole", name)
