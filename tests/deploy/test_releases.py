"""The list of released images that deployments keep, where an environment's admission goes by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pod_proxy import ApiServer, status

from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.deploy.cluster import Cluster, MissingKindError
from modelway.components.deploy.releases import list_releases

DIGESTS = [f"sha256:{digit * 64}" for digit in "012345"]
LIST = ("releasedimages", "modelway")


class Versions:
    """Versions of a model that are packaged, each with its image."""

    def __init__(self, packages: Any) -> None:
        self._packages = packages

    def __call__(self, number: int, *, recorded: bool = True) -> tuple[ModelVersion, str]:
        version = self._packages.handle("listed").version(str(number))
        image = f"r.example/listed@{DIGESTS[number]}"
        if recorded:
            self._packages.record("listed", version.number, image)
        return version, image


@pytest.fixture
def version(packages: Any) -> Versions:
    return Versions(packages)


@pytest.fixture
def listed(api: ApiServer) -> Callable[..., dict[str, str]]:
    """Lists versions; returns what is on the list then."""

    def call(*images: tuple[ModelVersion, str], lines: list[str] | None = None) -> dict[str, str]:
        progress = (lambda _: None) if lines is None else lines.append
        list_releases(api.cluster(), "listed", images=dict(images), progress=progress)
        return dict(api.objects[LIST]["spec"]["digests"])

    api.objects[LIST] = {"metadata": {"name": "modelway"}, "spec": {}}
    return call


def test_what_is_to_serve_and_what_serves_is_listed_and_no_more(
    version: Versions, listed: Callable[..., Any], api: ApiServer
) -> None:
    assert listed(version(1)) == {"listed.1": DIGESTS[1]}
    api.objects[LIST]["spec"]["digests"]["listed-too.1"] = DIGESTS[5]  # of another model
    assert listed(version(2), version(1)) == {
        "listed.1": DIGESTS[1],
        "listed.2": DIGESTS[2],
        "listed-too.1": DIGESTS[5],
    }
    assert listed(version(3), version(2)) == {
        "listed.2": DIGESTS[2],
        "listed.3": DIGESTS[3],
        "listed-too.1": DIGESTS[5],
    }


def test_only_what_is_signed_is_listed(version: Versions, listed: Callable[..., Any], packages: Any) -> None:
    """Against whoever can write to the store, but has no signing key."""
    lines: list[str] = []
    packages.record("listed", "1", f"r.example/listed@{DIGESTS[4]}")
    for images in ([version(1, recorded=False)], [version(2, recorded=False)]):
        assert listed(version(3), *images, lines=lines) == {"listed.3": DIGESTS[3]}
    assert "is recorded with another image" in "".join(lines)
    assert "has not been packaged" in "".join(lines)


def test_what_serves_stays_listed_though_its_record_is_gone(version: Versions, listed: Callable[..., Any]) -> None:
    listed(version(1))
    other = version(4)[0], version(1)[1]  # the version that its pods name is another one's
    assert listed(version(2), other) == {"listed.1": DIGESTS[1], "listed.2": DIGESTS[2]}


def test_nothing_is_written_where_nothing_changes(
    version: Versions, listed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed(version(2), version(1))
    monkeypatch.setattr(Cluster, "patch", None)
    listed(version(2), version(1))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (status(404, "the server could not find the requested resource"), ""),
        (status(404, "not found", "modelway"), ""),
        (status(403, 'User "ada" cannot get resource "releasedimages"'), "may not read releasedimages"),
    ],
    ids=["no such kind", "no such list", "no right"],
)
def test_an_environment_without_a_list_is_deployed_to_as_ever(
    version: Versions, api: ApiServer, answer: tuple[int, Any], says: str
) -> None:
    lines: list[str] = []
    api.refusals["releasedimages"] = answer
    list_releases(api.cluster(), "listed", images=dict([version(1)]), progress=lines.append)
    assert says in "".join(lines)
    assert bool(lines) is bool(says)
    assert LIST not in api.objects


def test_a_change_is_tried_again_until_the_api_server_has_heard_of_the_list(api: ApiServer) -> None:
    problem = f"r.example/listed@{DIGESTS[1]} is no release: the ReleasedImages modelway do not list its digest"
    api.refusals["pods"] = [status(403, problem), status(403, problem)]
    assert api.cluster().create("pods", {"metadata": {"name": "rehearsal"}})
    assert ("pods", "rehearsal") in api.objects


def test_a_kind_that_is_missing_is_told_from_an_object(api: ApiServer) -> None:
    api.refusals["rollouts"] = status(404, "the server could not find the requested resource")
    with pytest.raises(MissingKindError, match="has no rollouts"):
        api.cluster().get("rollouts", "listed")
