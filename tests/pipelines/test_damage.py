"""A damaged file is named as damaged, with a remedy and never a traceback, by every command that reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from office import Office, Ran

from modelway.components.core.code.version import base_version

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda content: content[: len(content) // 2],
    "empty": lambda _: b"",
    "a list": lambda _: b"[1, 2]",
    "a number": lambda _: b"3",
    "null": lambda _: b"null",
    "another object": lambda _: b'{"other": 1}',
    "not UTF-8": lambda content: content[:20] + b"\xff\xfe" + content[20:],
    "binary": lambda _: bytes(range(256)) * 8,
    "nested": lambda _: b"[" * 100_000,
    "not text": lambda _: b'{"run": 1, "\\ud800": "\\ud800"}',
}
HOME = ".modelway"


@pytest.fixture
def spoil(office: Office) -> Callable[[str, str], Path]:
    """``spoil(pattern, damage)``: damages the file of a name below the project's folder; returns it."""

    def damaged(pattern: str, damage: str) -> Path:
        file = next(path for path in sorted(office.folder.glob(pattern)) if "latest" not in path.parts)
        file.chmod(0o644)
        file.write_bytes(DAMAGES[damage](file.read_bytes()))
        return file

    return damaged


def check_named(result: Ran, file: Path, code: int = 2) -> None:
    """Checks that a command ended by an error about a file, with a remedy."""
    assert result.returncode == code, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    error = json.loads(result.stdout)["error"]
    assert file.name in error["file"]
    assert error["remedy"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_outcome_is_named(damage: str, office: Office, spoil: Callable[[str, str], Path]) -> None:
    file = spoil(f"{HOME}/runs/*/outcome.json", damage)
    for command in (("runs",), ("explain", file.parent.name)):
        result = office(*command, "--json")
        check_named(result, file)
        assert "is damaged" in json.loads(result.stdout)["error"]["message"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_latest_outcome_is_named(damage: str, office: Office) -> None:
    file = office.folder / HOME / "runs" / "latest" / "outcome.json"
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    check_named(office("explain", "--json"), file)
    assert office("runs", "--json").returncode == 0


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_decision_of_a_run_that_was_stopped_is_named(
    damage: str, office: Office, spoil: Callable[[str, str], Path]
) -> None:
    file = spoil(f"{HOME}/runs/*/decision.json", damage)
    (file.parent / "outcome.json").unlink()
    (file.parent / "stopped.json").write_text('{"stage": "probe_model"}')
    for command in (("runs",), ("explain", file.parent.name)):
        check_named(office(*command, "--json"), file)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_that_a_run_was_stopped_is_named(damage: str, office: Office) -> None:
    file = next((office.folder / HOME / "runs").glob("2*")) / "stopped.json"
    file.with_name("outcome.json").unlink()
    file.write_bytes(DAMAGES[damage](b'{"stage": "probe_model", "at": "2026-01-01T00:00:00+00:00"}'))
    for command in (("runs",), ("explain", file.parent.name)):
        check_named(office(*command, "--json"), file)


READ_FILES = (
    ("run",),
    ("resolve",),
    ("doctor",),
    ("manifests",),
    ("history",),
    ("audit", "log"),
    ("audit", "verify"),
    ("promote", "1", "--to", "staging", "--check"),
    ("approve", "1", "--to", "production", "-m", "x"),
    ("rollback", "staging", "-m", "x"),
    ("drill",),
    ("compile",),
    ("report", "--data", "visits.csv"),
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_policy_is_named(damage: str, office: Office, spoil: Callable[[str, str], Path]) -> None:
    file = spoil("policy.yaml", damage)
    for command in READ_FILES:
        check_named(office(*command, "--json"), file)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["project.yaml", "contract.yaml"])
def test_a_damaged_project_or_contract_is_named(
    name: str, damage: str, office: Office, spoil: Callable[[str, str], Path]
) -> None:
    file = spoil(name, damage)
    check_named(office("run", "--json"), file)


@pytest.fixture
def evidence(released: Office) -> Iterator[Callable[[str, str], None]]:
    """``evidence(file, damage)``: damages what a version was registered with, which is put right after the test."""
    intact: dict[Path, bytes] = {}

    def damaged(name: str, damage: str) -> None:
        entry = json.loads((released.folder / HOME / "audit" / "00000001.json").read_bytes())
        folder = entry["details"]["blessing_sha256"][:16]  # copies of the project keep evidence there too
        file = next((released.folder / HOME / "mlartifacts").rglob(f"{folder}/{name}"))
        intact[file] = file.read_bytes()
        file.write_bytes(DAMAGES[damage](intact[file]))

    yield damaged
    for file, content in intact.items():
        file.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("policy.json", "was blessed with another policy.json than is stored with it"),
        ("blessing.json", "was registered with another blessing than is stored with it"),
    ],
)
def test_a_version_with_damaged_evidence_goes_nowhere(
    file: str, says: str, damage: str, released: Office, evidence: Callable[[str, str], None]
) -> None:
    evidence(file, damage)
    checked = released.read_json("promote", "1", "--to", "staging", "--check", code=1)
    assert says in " ".join(checked["refusals"])
    approved = released.read_json("approve", "1", "--to", "production", "-m", "x", code=2)
    assert says in approved["error"]["message"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_audit_entry_is_named(damage: str, office: Office, spoil: Callable[[str, str], Path]) -> None:
    file = spoil(f"{HOME}/audit/00000001.json", damage)
    for command in (
        ("history",),
        ("audit", "log"),
        ("approve", "1", "--to", "production", "-m", "x"),
        ("rollback", "staging", "-m", "x"),
    ):
        check_named(office(*command, "--json"), file)
    verification = office.read_json("audit", "verify", code=1)
    assert Path(verification["broken"]["file"]).name == file.name
    checked = office.read_json("promote", "1", "--to", "staging", "--check", code=1)
    assert any("the audit log is broken at entry 1" in refusal for refusal in checked["refusals"])


@pytest.mark.parametrize(
    ("key", "value"), [("at", "soon"), ("at", "2026-01-01T00:00:00"), ("number", "one"), ("event", "eaten")]
)
def test_an_audit_entry_with_a_value_that_is_none_is_named(key: str, value: str, office: Office) -> None:
    file = office.folder / HOME / "audit" / "00000001.json"
    file.chmod(0o644)
    content = json.loads(file.read_bytes()) | {key: value}
    file.write_text(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    check_named(office("history", "--json"), file)
    assert office("audit", "verify").returncode == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_of_a_package_is_named(damage: str, office: Office) -> None:
    file = office.folder / HOME / "packages" / "visits" / "1.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(DAMAGES[damage](b'{"image": "host/loans@sha256:0"}'))
    promoted = office("promote", "1", "--to", "staging", "--json")
    assert promoted.returncode == 1
    assert f"{file} is damaged" in " ".join(json.loads(promoted.stdout)["reasons"])


@pytest.mark.runs
def test_damaged_cache_entries_are_named_and_computed_again(office: Office) -> None:
    cache = office.folder / HOME / "cache" / base_version()
    entries = sorted(cache.glob("*.json"))
    contents = [file.read_bytes() for file in entries]
    assert len(entries) >= 6
    damages = [name for name in DAMAGES if name not in {"another object", "not text"}]  # which are JSON objects
    for number, file in enumerate(entries):
        file.write_bytes(DAMAGES[damages[number % len(damages)]](contents[number]))
    extra_files = [cache / f"{number}.json" for number in range(len(damages))]
    for file, damage in zip(extra_files, damages, strict=True):
        file.write_bytes(DAMAGES[damage](contents[0]))
    result = office("run", "--json")
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads(result.stdout)["cached"] == []
    output = "".join(result.stderr.split())  # whatever the lines' width
    for file in (*entries, *extra_files):
        assert f"{file}isdamaged:removed,andcomputedagain" in output
    assert [file for file in extra_files if file.exists()] == []
    again = office.read_json("run")
    assert len(again["cached"]) >= 6
