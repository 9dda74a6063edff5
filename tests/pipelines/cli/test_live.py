"""The commands about a released version, as a person uses them one after another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from office import ADA, BOB, Office


def test_keys_are_made_once_and_never_written_over(released: Office) -> None:
    before = {path.name: path.read_bytes() for path in released.keys.iterdir()}
    assert set(before) == {"signing.pem", "verifying.pem", "encryption.key", "encryption.recipient"}
    for secret in ("signing.pem", "encryption.key"):
        assert (released.keys / secret).stat().st_mode & 0o077 == 0
    again = released.found("keys", code=2)
    assert again["error"]["file"].endswith("signing.pem")
    assert {path.name: path.read_bytes() for path in released.keys.iterdir()} == before


def test_what_was_released_is_in_development_and_the_history_says_by_whom(released: Office) -> None:
    (one,) = released.found("history")
    assert (one["environment"], one["version"], one["event"], one["by"]) == ("development", "1", "registered", ADA)
    assert one["until"] is None
    assert released.found("history", "--at", "2020-01-01") == []
    shown = released("history").stdout
    assert "development" in shown
    assert f"{ADA} released it." in shown


def test_a_version_is_packaged_by_number_or_alias_and_is_the_same_image(
    released: Office, base: Path, tmp_path: Path
) -> None:
    asked = ("--base", str(base), "--target", str(tmp_path / "image"))
    first = released.found("package", "1", *asked)
    assert first["release"]["version"] == "1"
    assert released.found("package", "development", *asked)["image"] == first["image"]
    assert first["image"] in released("package", "1", *asked).stdout


def test_packaging_without_a_key_says_which_variable(released: Office, base: Path, tmp_path: Path) -> None:
    target = tmp_path / "image"
    ran = released("package", "1", "--base", str(base), "--target", str(target), MODELWAY_SIGNING_KEY="")
    assert ran.returncode == 2
    assert "MODELWAY_SIGNING_KEY is not set" in ran.stderr
    assert not target.exists()


def test_a_run_packages_what_it_releases(office: Office, base: Path, tmp_path: Path) -> None:
    asked = ("--base", str(base), "--target", str(tmp_path / "image"))
    refused = office.found("run", *asked, code=2, MODELWAY_SIGNING_KEY="")
    assert refused["error"]["key"] == "MODELWAY_SIGNING_KEY"
    found = office.found("run", *asked)
    assert (found["state"], "package_model" in found["seconds"]) == ("registered", True)
    version = found["model"]["version"]
    recorded = json.loads((office.folder / ".modelway" / "packages" / "visits" / f"{version}.json").read_text())
    assert recorded["image"] == office.found("package", version, *asked)["image"]


def test_promotion_is_checked_against_the_policy_and_changes_nothing(released: Office) -> None:
    found = released.found("promote", "1", "--to", "production", "--check", code=1)
    assert not found["allowed"]
    assert any("staging" in refusal for refusal in found["refusals"])
    assert any("approv" in refusal for refusal in found["refusals"])
    assert len(released.found("audit", "log")) == 1
    assert released.found("promote", "1", "--to", "staging", "--check")["allowed"]


def test_nobody_approves_their_own_run(office: Office) -> None:
    asked = ("approve", "1", "--to", "production", "-m", "fewer alarms")
    assert "ada@example.org asked for the run" in office(*asked, by=ADA).stderr
    found = office.found(*asked)
    assert (found["approval"]["by"], found["approval"]["reason"]) == (BOB, "fewer alarms")
    assert all("approv" not in refusal for refusal in found["refusals"])
    assert "does not approve version 1" in office(*asked, "--withdraw").stdout
    checked = office.found("promote", "1", "--to", "production", "--check", code=1)
    assert any("approv" in refusal for refusal in checked["refusals"])
    assert [one["event"] for one in office.found("audit", "log")] == ["registered", "approved", "withdrawn"]


def test_the_first_broken_link_of_the_audit_log_is_named(office: Office) -> None:
    assert office("approve", "1", "--to", "production", "-m", "fewer alarms").returncode == 0
    assert office.found("audit", "verify")["whole"]
    entry = office.folder / ".modelway" / "audit" / "00000001.json"
    entry.chmod(0o644)
    entry.write_text(entry.read_text().replace(ADA, "eve@example.org"))
    found = office.found("audit", "verify", code=1)
    assert not found["whole"]
    assert found["broken"]["number"] == 1
    assert "broken" in office("audit", "verify").stdout
    assert office("approve", "1", "--to", "production", "-m", "again").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("approve", "7", "--to", "production", "-m", "x"), "visits has no version '7'"),
        (("approve", "1", "--to", "moon", "-m", "x"), "there is no environment 'moon'"),
        (("approve", "1", "--to", "production", "-m", " "), "an approval needs `reason`"),
        (("promote", "nobody", "--to", "staging"), "has no version and no alias 'nobody'"),
        (("history", "--at", "soon"), "'soon' is no time"),
    ],
)
def test_what_is_not_there_is_named_with_a_remedy(released: Office, arguments: tuple[str, ...], said: str) -> None:
    ran = released(*arguments)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "remedy" in ran.stderr


def test_the_policy_is_compiled_into_manifests(released: Office, tmp_path: Path) -> None:
    found = released.found("manifests", "-o", str(tmp_path / "manifests"))
    assert str(tmp_path / "manifests" / "base" / "analysis" / "templates.yaml") in found["files"]
    assert all(Path(file).read_text(encoding="utf-8").count("visits") for file in found["files"])
