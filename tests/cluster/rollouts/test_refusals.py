"""What may not go live is refused with the reason, and neither the cluster nor the registry's aliases are touched."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.audit.approvals import approve, promotion_blockers
from modelway.components.core.audit.package_records import record_package
from modelway.components.core.bundle.keys import SIGNING_KEY, key_file, new_keys
from modelway.components.core.bundle.signing import sign
from modelway.components.core.oci.fetch import fetch_release
from modelway.components.core.storage.uri import join, read_uri, write_uri

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]


@pytest.fixture
def record_image(place: Any, good: str) -> Iterator[Callable[[str], None]]:
    """Makes an image the one that is recorded of the version, as long as the test runs."""
    file, version = join(place.store, "packages", "loans", f"{good}.json"), place.model.version(good)
    before = read_uri(file)
    yield lambda image: record_package(version, {"image": image}, signing_key=key_file(SIGNING_KEY))
    write_uri(file, before)


def _state(place: Any) -> str:
    """All that a refused deployment leaves as it is."""
    rollout = place.rollout()
    state = {
        "spec": rollout["spec"],
        "annotations": rollout["metadata"].get("annotations"),
        "pods": sorted(pod["metadata"]["uid"] for pod in place.pods()),
        "aliases": [place.holder("staging"), place.holder("production")],
    }
    return json.dumps(state, sort_keys=True)


def _assert_refused(place: Any, version: str, says: str, **changes: Any) -> None:
    before = _state(place)
    result = place.deploy(version, **changes)
    assert result.status == "refused"
    assert says in " ".join(result.reasons)
    assert _state(place) == before
    last = place.log()[-1]
    assert (last.event, last.version, last.actor) == ("refused", version, "ada@example.org")
    assert says in last.details["reason"]


def _append_to(name: str) -> Callable[[Path], None]:
    def change(release: Path) -> None:
        file = release / name
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content + b" ")

    return change


def _signed_by_another(release: Path) -> None:
    new_keys(release.parent / "other", release.parent / "other.pub")
    (release / "release.sig").unlink()
    sign(release, release / "release.sig", private_key=release.parent / "other")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda release: (release / "release.sig").unlink(), "release.sig"),
        (_signed_by_another, "another key"),
        (_append_to("model.onnx"), "model.onnx"),
        (_append_to("blessing.json"), "blessing.json"),
        (_append_to("sbom.cdx.json"), "sbom.cdx.json"),
    ],
    ids=["unsigned", "signed by another key", "tampered model", "tampered blessing", "tampered SBOM"],
)
def test_an_image_that_is_not_the_release(
    place: Any,
    releases: Any,
    good: str,
    record_image: Callable[[str], None],
    layered: Callable[..., str],
    tmp_path: Path,
    change: Callable[[Path], Any],
    says: str,
) -> None:
    image = json.loads(read_uri(join(place.store, "packages", "loans", f"{good}.json")))["image"]
    release = fetch_release(image, tmp_path)
    change(release)
    record_image(layered(releases.base_with(""), release, "release", f"{releases.host}/loans:tampered"))
    _assert_refused(place, good, says)


def test_another_image_than_the_one_that_was_packaged(place: Any, stable: str, good: str) -> None:
    other = json.loads(read_uri(join(place.store, "packages", "loans", f"{stable}.json")))["image"]
    _assert_refused(place, good, "package_model", image=other)


def test_a_version_without_approval(place: Any, good: str) -> None:
    _assert_refused(place, good, "approv", environment="production")


def test_an_expired_approval(place: Any, good: str) -> None:
    until = datetime.now(UTC) + timedelta(seconds=3)
    about: dict[str, Any] = {"by": "bob@example.org", "reason": "seen", "until": until, "policy": place.policy()}
    approve(place.model.version(good), "production", **about)
    time.sleep(3.5)
    _assert_refused(place, good, "expired", environment="production")


def test_an_approval_of_ones_own(place: Any, good: str) -> None:
    # Written past `modelway approve`, which would not take it.
    approval = next(pod for pod in place.log() if pod.event == "approved")
    details = approval.details | {"until": (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")}
    version = place.model.version(good)
    version.log_event("approved", "ada@example.org", environment="production", details=details)
    _assert_refused(place, good, "ada@example.org", environment="production")
    approve(version, "production", by="bob@example.org", reason="seen", policy=place.policy())
    assert promotion_blockers(version, "production", policy=place.policy()) == []
