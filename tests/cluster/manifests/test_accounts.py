"""Every service account tries, with a token of its own, what it may do and what it may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

CORE, ROLLOUTS = "/api/v1/namespaces/{%s}", "/apis/argoproj.io/v1alpha1/namespaces/{%s}"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/{%s}"
MODEL = "insurance-high-use"


def _core(namespace: str, rest: str) -> str:
    return CORE % namespace + rest


def _argo(namespace: str, rest: str) -> str:
    return ROLLOUTS % namespace + rest


POD, EMPTY, LABEL = "a pod", {}, {"metadata": {"labels": {"tried": "true"}}}
TEMPLATE = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AnalysisTemplate",
    "metadata": {"name": "tried"},
    "spec": {"metrics": [{"name": "nothing", "provider": {"prometheus": {"address": "http://none", "query": "1"}}}]},
}

ALLOWED: list[tuple[str, str, str, Any]] = [
    ("deployer", "GET", _argo("production", f"/rollouts/{MODEL}"), None),
    ("deployer", "PATCH", _argo("production", f"/rollouts/{MODEL}"), LABEL),
    ("deployer", "PATCH", _argo("production", f"/rollouts/{MODEL}/status"), {"status": {"abort": True}}),
    ("deployer", "PATCH", _argo("staging", f"/rollouts/{MODEL}"), LABEL),
    ("deployer", "POST", _argo("production", "/analysistemplates"), TEMPLATE),
    ("deployer", "GET", "/apis/apps/v1/namespaces/{production}/replicasets", None),
    ("deployer", "POST", _core("production", "/pods"), POD),
    ("deployer", "GET", _core("production", "/pods"), None),
    ("deployer", "GET", _core("production", "/events"), None),
    ("deployer", "GET", _argo("production", "/analysisruns"), None),
    ("deployer", "GET", _core("production", f"/services/{MODEL}"), None),
    ("deployer", "DELETE", _core("production", "/pods/rehearsed"), None),
    ("deployer", "POST", _core("staging", "/pods/rehearsed:8080/proxy/v2/models/one/infer"), EMPTY),
    ("runner", "GET", _core("pipelines", "/configmaps/kfp-launcher"), None),
    ("runner", "PATCH", _argo("staging", f"/rollouts/{MODEL}"), LABEL),
    ("packager", "GET", _core("pipelines", "/configmaps/kfp-launcher"), None),
    ("packager", "GET", _core("pipelines", "/secrets/mlpipeline-minio-artifact"), None),
    ("monitor", "GET", _argo("production", f"/rollouts/{MODEL}"), None),
    ("monitor", "GET", "/apis/pipelines.kubeflow.org/v2beta1/namespaces/{pipelines}/runs", None),
    ("monitor", "POST", "/apis/pipelines.kubeflow.org/v2beta1/namespaces/{pipelines}/runs", EMPTY),
]

FORBIDDEN: list[tuple[str, str, str, Any]] = [
    ("server", "GET", _core("production", "/pods"), None),
    ("server", "GET", _core("production", "/secrets"), None),
    ("server", "GET", _core("production", "/configmaps/modelway-verifying-key"), None),
    ("server", "GET", _argo("production", f"/rollouts/{MODEL}"), None),
    ("server", "PATCH", _argo("production", f"/rollouts/{MODEL}"), LABEL),
    ("deployer", "GET", _core("production", "/secrets"), None),
    ("deployer", "GET", _core("pipelines", "/secrets"), None),
    ("deployer", "GET", _core("pipelines", "/secrets/modelway-signing-key"), None),
    ("deployer", "DELETE", _argo("production", f"/rollouts/{MODEL}"), None),
    ("deployer", "GET", _argo("production", "/rollouts"), None),
    ("deployer", "PATCH", _argo("production", "/analysisruns/one"), LABEL),
    ("deployer", "DELETE", _argo("production", f"/analysistemplates/{MODEL}-analysis"), None),
    ("deployer", "PATCH", _core("production", f"/services/{MODEL}"), LABEL),
    ("deployer", "PATCH", _core("production", "/pods/one"), LABEL),
    ("deployer", "DELETE", "/apis/apps/v1/namespaces/{production}/replicasets/one", None),
    ("deployer", "PATCH", f"/apis/apps/v1/namespaces/{{production}}/deployments/{MODEL}", LABEL),
    ("deployer", "POST", _core("production", f"/pods/{MODEL}/exec"), EMPTY),
    ("deployer", "GET", _core("production", "/pods/one:8080/proxy/metrics"), None),
    ("deployer", "POST", RBAC % "production" + "/rolebindings", EMPTY),
    ("deployer", "PATCH", RBAC % "production" + "/roles/modelway-deployer", LABEL),
    ("deployer", "POST", _core("production", "/serviceaccounts/modelway-server/token"), EMPTY),
    ("deployer", "PATCH", _core("production", "/resourcequotas/modelway"), LABEL),
    ("deployer", "PATCH", "/api/v1/namespaces/{production}", LABEL),
    ("deployer", "DELETE", "/apis/networking.k8s.io/v1/namespaces/{production}/networkpolicies/default-deny", None),
    ("deployer", "POST", _core("pipelines", "/pods"), POD),
    ("deployer", "POST", "/api/v1/namespaces/default/pods", POD),
    ("deployer", "GET", "/apis/argoproj.io/v1alpha1/rollouts", None),
    ("deployer", "GET", "/api/v1/nodes", None),
    ("runner", "PATCH", _argo("production", f"/rollouts/{MODEL}"), LABEL),
    ("runner", "POST", _core("production", "/pods"), POD),
    ("runner", "GET", _core("pipelines", "/secrets"), None),
    ("runner", "POST", _core("pipelines", "/pods"), POD),
    ("runner", "PATCH", _core("pipelines", "/configmaps/kfp-launcher"), LABEL),
    ("packager", "GET", _argo("staging", f"/rollouts/{MODEL}"), None),
    ("packager", "GET", _core("pipelines", "/secrets/another"), None),
    ("packager", "GET", _core("pipelines", "/configmaps"), None),
    ("packager", "POST", "/apis/pipelines.kubeflow.org/v2beta1/namespaces/{pipelines}/runs", EMPTY),
    ("monitor", "PATCH", _argo("production", f"/rollouts/{MODEL}"), LABEL),
    ("monitor", "GET", _core("production", "/pods"), None),
    ("monitor", "GET", _core("production", "/secrets"), None),
    ("monitor", "DELETE", "/apis/pipelines.kubeflow.org/v2beta1/namespaces/{pipelines}/runs/one", None),
]


@pytest.fixture(scope="module")
def ask(api: Any, installation: Any, pod: Callable[..., Any]) -> Callable[[str, str, str, Any], Any]:
    """Asks as one of the accounts."""
    accounts = {
        account: api.as_account(installation.pipelines, f"modelway-{account}")
        for account in ("deployer", "runner", "packager", "monitor")
    }
    accounts["server"] = api.as_account(installation.production, "modelway-server")

    def call(account: str, method: str, path: str, body: Any) -> Any:
        place = {name: getattr(installation, name) for name in ("pipelines", "staging", "production")}
        real = "/proxy/" in path  # which knows no trial, and finds no pod here
        return accounts[account](method, path.format(**place), pod() if body is POD else body, real=real)

    return call


def _descriptions(calls: list[tuple[str, str, str, Any]]) -> list[str]:
    return [f"{account} {method} {path}" for account, method, path, _ in calls]


@pytest.mark.parametrize(("account", "method", "path", "body"), ALLOWED, ids=_descriptions(ALLOWED))
def test_an_account_may_do_its_work(ask: Callable[..., Any], account: str, method: str, path: str, body: Any) -> None:
    answer = ask(account, method, path, body)
    # KFP is not installed here: whoever may look for its runs, its Secret and its ConfigMap finds nothing.
    absent = ("pipelines.kubeflow.org", "/secrets/", "/configmaps/kfp-launcher", "/pods/rehearsed")
    expected = {404} if any(part in path for part in absent) else {200, 201}
    assert answer.status in expected, answer.message


@pytest.mark.parametrize(("account", "method", "path", "body"), FORBIDDEN, ids=_descriptions(FORBIDDEN))
def test_an_account_may_do_nothing_else(
    ask: Callable[..., Any], account: str, method: str, path: str, body: Any
) -> None:
    answer = ask(account, method, path, body)
    assert answer.unauthorized, (answer.status, answer.message)


def test_every_account_is_tried(installation: Any) -> None:
    accounts = {obj["metadata"]["name"] for obj in installation.objects if obj["kind"] == "ServiceAccount"}
    assert accounts == {f"modelway-{account}" for account, *_ in FORBIDDEN}
    assert accounts - {"modelway-server"} == {f"modelway-{account}" for account, *_ in ALLOWED}


def test_the_servers_pods_have_no_token(api: Any, installation: Any, pod: Callable[..., Any]) -> None:
    tried = pod()
    del tried["spec"]["automountServiceAccountToken"]
    tried["spec"]["serviceAccountName"] = "modelway-server"
    made = api("POST", f"/api/v1/namespaces/{installation.production}/pods", tried)
    assert made.status == 201, made.message
    assert not made.body["spec"].get("volumes")
