"""Before anything is touched, everything that is wrong with a release is found, and said at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from registered_versions import log_registration
from user_files import minimal_policy

from modelway.components.core.audit.approvals import approve
from modelway.components.core.bundle.keys import VERIFYING_KEY, new_keys
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError, SetupError, UnavailableError
from modelway.components.deploy.preconditions import image_failures, policy_failures, precondition_failures


@pytest.fixture
def failures(packages: Any) -> Callable[..., tuple[str, ...]]:
    def ask(model: str, version: str, image: str = "", policy: Policy | None = None) -> tuple[str, ...]:
        model_version = packages.handle(model).version(version)
        return precondition_failures(model_version, "staging", image=image, policy=policy)

    return ask


def test_a_good_release_has_no_problems(
    packages: Any, shared_version: str, failures: Callable[..., tuple[str, ...]]
) -> None:
    image = json.loads(Path(packages.store, "packages", "shared", f"{shared_version}.json").read_bytes())["image"]
    assert failures("shared", shared_version) == ()
    assert failures("shared", shared_version, image) == ()
    mirrored = image.replace("/shared@", "/elsewhere/shared@")  # the digest is right, the place is not
    assert "has no manifests" in failures("shared", shared_version, mirrored)[0]


def unsigned(bundle: Path) -> None:
    (bundle / "release.sig").unlink()


def claiming(**claims: str) -> Callable[[Path], None]:
    """Has a bundle say these of itself in place of the truth."""

    def change(bundle: Path) -> None:
        texts = json.loads((bundle / "release.json").read_bytes())
        (bundle / "release.json").write_text(json.dumps(texts | claims), encoding="utf-8")

    return change


def rewriting(name: str, content: str = "{}") -> Callable[[Path], None]:
    return lambda bundle: bundle.joinpath(name).write_text(content) and None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (unsigned, "is not signed: there is no release.sig"),
        (rewriting("model.tar.age"), "the signature does not match the files: model.tar.age is not as it was signed"),
        (rewriting("blessing.json"), "the signature does not match the files: blessing.json is not as it was signed"),
        (rewriting("sbom.cdx.json"), "the signature does not match the files: sbom.cdx.json is not as it was signed"),
        (rewriting("policy.json"), "the signature does not match the files: policy.json is not as it was signed"),
        (
            rewriting("more.py"),
            "the signature does not match the files: more.py is not among the files that were signed",
        ),
        (lambda bundle: (bundle / "sbom.cdx.json").unlink(), "sbom.cdx.json was signed and is missing"),
    ],
)
def test_what_was_changed_after_it_was_signed_is_refused(
    packages: Any, shared_version: str, failures: Callable[..., tuple[str, ...]], change: Any, says: str
) -> None:
    packages.altered("shared", shared_version, change)
    (problem,) = failures("shared", shared_version)
    assert says in problem


DEEP = "[" * 100_000


@pytest.mark.parametrize("name", ["release.json", "release.sig", "sbom.cdx.json"])
def test_a_document_that_is_nested_too_deep_is_a_failure_of_the_release(
    name: str, packages: Any, shared_version: str, failures: Callable[..., tuple[str, ...]]
) -> None:
    packages.altered("shared", shared_version, rewriting(name, DEEP), sign_again=name != "release.sig")
    assert [failure for failure in failures("shared", shared_version) if name in failure]


def test_a_release_that_another_key_signed_is_refused(
    shared_version: str, failures: Callable[..., tuple[str, ...]], keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_keys(keys / "other", keys / "other.pub")
    monkeypatch.setenv(VERIFYING_KEY, str(keys / "other.pub"))
    assert "was made with another key than is trusted here" in failures("shared", shared_version)[0]


def unset(_: Path) -> None:
    """No key is named."""


def empty(file: Path) -> str:
    file.write_bytes(b"")
    return str(file)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (unset, "MODELWAY_VERIFYING_KEY is not set"),
        (str, "the file that MODELWAY_VERIFYING_KEY names does not exist"),
        (empty, "the key cannot be read: it is not a PEM file"),
        (lambda file: str(file.parent), "the file that MODELWAY_VERIFYING_KEY names does not exist"),
    ],
    ids=["unset", "missing", "empty", "a folder"],
)
def test_a_key_that_the_caller_lacks_is_no_fault_of_the_version(
    key: Callable[[Path], str | None],
    says: str,
    shared_version: str,
    failures: Callable[..., tuple[str, ...]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = key(tmp_path / "verifying.pem")
    if path is None:
        monkeypatch.delenv(VERIFYING_KEY)
    else:
        monkeypatch.setenv(VERIFYING_KEY, path)
    with pytest.raises(SetupError) as error:
        failures("shared", shared_version)
    assert says in error.value.message
    assert error.value.key == VERIFYING_KEY


def test_what_the_caller_names_wrongly_is_no_fault_of_the_version(
    shared_version: str, failures: Callable[..., tuple[str, ...]]
) -> None:
    with pytest.raises(ModelwayError, match="is not an image reference"):
        failures("shared", shared_version, "host")
    with pytest.raises(ModelwayError, match="is not pinned by a digest"):
        failures("shared", shared_version, "registry.example/shared:latest")
    policy = minimal_policy(environments={"production": {}})
    with pytest.raises(ModelwayError, match="the policy that the promoter brings has no environment staging"):
        failures("shared", shared_version, policy=policy)


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"version": "9"}, "the image is of version 9 of shared, not of version 1 of shared"),
        ({"name": "loans"}, "the image is of version 1 of loans, not of version 1 of shared"),
        ({"model_hash": "n"}, "the release names another model than was blessed"),
        ({"blessing_sha256": "0" * 64}, "the blessing is not the one of shared 1"),
    ],
)
def test_an_image_of_something_else_is_refused(
    packages: Any, shared_version: str, failures: Callable[..., tuple[str, ...]], claims: dict[str, str], says: str
) -> None:
    packages.altered("shared", shared_version, claiming(**claims), sign_again=True)
    assert says in failures("shared", shared_version)[0]


def test_an_image_with_the_blessing_of_another_version_is_refused(
    release: Callable[..., str], packages: Any, failures: Callable[..., tuple[str, ...]]
) -> None:
    first, second = release("twice"), release("twice", requested_by="eve@example.org")
    packages.record("twice", first, packages("twice", second))
    assert failures("twice", first) == (
        "the image is of version 2 of twice, not of version 1 of twice",
        "the image holds another blessing than the version is registered with",
    )


def test_an_image_without_a_bill_of_materials_is_refused_though_it_is_signed(
    packages: Any, shared_version: str, failures: Callable[..., tuple[str, ...]]
) -> None:
    packages.altered("shared", shared_version, rewriting("sbom.cdx.json", "{}"), sign_again=True)
    assert failures("shared", shared_version) == (
        "the image has no bill of materials: sbom.cdx.json is missing or not CycloneDX",
    )


def test_an_image_that_package_model_did_not_record_is_refused(
    release: Callable[..., str], packages: Any, failures: Callable[..., tuple[str, ...]], tmp_path: Path
) -> None:
    version = release("recorded")
    assert failures("recorded", version) == ("version 1 of recorded has not been packaged: no image of it is recorded",)
    recorded_image = packages("recorded", version)
    elsewhere = str(tmp_path / "elsewhere")
    log_registration(packages.handle("recorded", elsewhere).version(version))
    other_image = packages("recorded", version, store=elsewhere)
    assert failures("recorded", version, other_image) == (
        f"the image is not the one that package_model recorded: it is {other_image}, not {recorded_image}",
    )
    packages.record("recorded", version, f"{tmp_path}@sha256:{'0' * 64}")
    assert failures("recorded", version)[0].startswith("the image is in a folder, from which a cluster cannot pull")


def test_all_problems_are_found_at_once(
    release: Callable[..., str], packages: Any, failures: Callable[..., tuple[str, ...]]
) -> None:
    environments = {"staging": {"after": "production", "approvals": {"quorum": 2}}, "production": {}}
    version = release("several", environments)
    packages.altered("several", version, unsigned)
    approve(
        packages.handle("several").version(version),
        "staging",
        by="grace@example.org",
        reason="seen",
        until=datetime.now(UTC) + timedelta(days=1),
    )
    signature, before, quorum = failures("several", version)
    assert "is not signed" in signature
    assert before == "version 1 of several has not been served in production, which staging requires"
    assert quorum == "staging requires 2 approvals; 1 is valid"


def test_a_version_that_is_not_blessed_is_refused(
    release: Callable[..., str], packages: Any, failures: Callable[..., tuple[str, ...]]
) -> None:
    good = release("unblessed")
    image = packages("unblessed", good)
    version = release("unblessed", blessed=False)
    packages.record("unblessed", version, image)
    assert any("is not blessed" in problem for problem in failures("unblessed", version))


def test_a_registry_that_is_away_is_no_refusal(release: Callable[..., str], packages: Any) -> None:
    version = release("away")
    packages.record("away", version, f"127.0.0.1:1/away@sha256:{'0' * 64}")
    with pytest.raises(UnavailableError):
        image_failures(packages.handle("away").version(version), "")


def test_a_brought_policy_asks_no_less_of_a_rollout() -> None:
    released = minimal_policy(
        deployment={"analysis": {"minimum_requests": 100, "error_rate": 0.01}}, serving={"sla": {"p95_ms": 100}}
    )
    looser = minimal_policy(
        deployment={"analysis": {"minimum_requests": 10, "error_rate": None}}, serving={"sla": {"p95_ms": 900}}
    )
    assert policy_failures(released, released) == []
    texts = " / ".join(policy_failures(released, looser))
    for part in (
        "deployment.analysis.minimum_requests is 10, released with 100",
        "deployment.analysis.error_rate is absent, released with 0.01",
        "serving.sla.p95_ms is 900, released with 100",
    ):
        assert part in texts
    steps = minimal_policy(
        deployment={"strategy": "rolling", "analysis": {"minimum_requests": 200, "error_rate": 0.001}}
    )
    assert policy_failures(minimal_policy(), steps) == []
    settings = {"on_policy_weakened": "warn"}
    assert (
        policy_failures(
            minimal_policy(**settings), minimal_policy(deployment={"analysis": {"minimum_requests": 1}}, **settings)
        )
        == []
    )


def test_a_brought_policy_takes_no_traffic_away() -> None:
    smoke, live = (minimal_policy(environments={"staging": {"traffic": traffic}}) for traffic in ("smoke", "live"))
    assert policy_failures(smoke, live) == []
    (problem,) = policy_failures(live, smoke)
    assert "environments.staging.traffic is smoke, released with live" in problem
    lax = minimal_policy(environments={"staging": {"approvals": {"self_approval": True}}})
    assert policy_failures(smoke, lax) == []  # of approvals the stricter of the two policies holds
