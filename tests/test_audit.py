"""The audit of the locked packages, by the real pip-audit against a database on this machine."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / ".ci" / "audit.py"
_SPEC = spec_from_file_location("audit", SCRIPT)
assert _SPEC is not None
assert _SPEC.loader is not None
audit = module_from_spec(_SPEC)
_SPEC.loader.exec_module(audit)

ACCEPTED = '[[accepted]]\nid = "CVE-2026-1"\npackage = "six"\nreason = "not called"\nuntil = {until}\n'
REQUIREMENTS = "six==1.16.0 --hash=sha256:" + "0" * 64 + "\n"
TODAY = dt.datetime.now(dt.UTC).date()


class Database(BaseHTTPRequestHandler):
    """OSV's interface, with an advisory for each package that it is told of."""

    advisories: dict[str, str]

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = question["package"]["name"]
        advisories = [advisory(name, self.advisories[name])] if name in self.advisories else []
        content = json.dumps({"vulns": advisories} if advisories else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def advisory(package: str, identifier: str) -> dict[str, Any]:
    affected = {
        "package": {"name": package, "ecosystem": "PyPI"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}],
    }
    return {"id": f"PYSEC-{identifier}", "aliases": [f"CVE-{identifier}"], "summary": "bad", "affected": [affected]}


@pytest.fixture
def database() -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a database, and what it knows."""
    known = {"jinja2": "2014-12"}
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Database,), {"advisories": known})) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", known
        server.shutdown()
        thread.join()


def run_audit(folder: Path, address: str, accepted: str = "") -> tuple[int, str]:
    (folder / "requirements.txt").write_text(REQUIREMENTS)
    (folder / "advisories.toml").write_text(accepted)
    command = [sys.executable, str(SCRIPT), "--osv-url", address]
    options = ["--requirements", str(folder / "requirements.txt"), "--accepted", str(folder / "advisories.toml")]
    result = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=120)
    return result.returncode, result.stdout + result.stderr


def test_packages_of_which_nothing_is_known_pass(database: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    assert run_audit(tmp_path, database[0]) == (0, "audit: 1 packages, nothing known\n")


def test_an_advisory_fails_until_it_is_accepted(database: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    address, known = database
    known["six"] = "2026-1"
    line = "audit: six 1.16.0: PYSEC-2026-1 CVE-2026-1, fixed in 99\n"
    assert run_audit(tmp_path, address) == (1, line)
    assert run_audit(tmp_path, address, ACCEPTED.format(until=TODAY)) == (0, "audit: 1 packages, nothing known\n")
    assert run_audit(tmp_path, address, ACCEPTED.format(until=TODAY - dt.timedelta(1))) == (1, line)


def test_a_database_that_cannot_be_reached_is_said_to_be_skipped(
    database: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    address, known = database
    skipped = (0, "audit: SKIPPED: no database of advisories can be reached from here; nothing was audited\n")
    assert run_audit(tmp_path, "http://127.0.0.1:9") == skipped
    known.clear()  # it answers, as a package index does that knows no advisories
    assert run_audit(tmp_path, address) == skipped


def test_a_package_that_was_not_audited_is_a_problem() -> None:
    skipped = {"name": "six", "skip_reason": "not found"}
    assert audit.problems_of([skipped], {}) == ["six was not audited: not found"]


def test_an_advisory_is_accepted_for_its_package_alone() -> None:
    package = {"name": "six", "version": "1", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": []}]}
    assert audit.problems_of([package], {"CVE-1": "six"}) == []
    assert audit.problems_of([package], {"CVE-1": "seven"}) == ["six 1: PYSEC-1 CVE-1, fixed in no version"]


@pytest.mark.parametrize("field", ["id", "package", "reason", "until"])
def test_an_accepted_advisory_needs_each_field(field: str) -> None:
    lines = ACCEPTED.format(until=TODAY).splitlines()
    text = "\n".join(line for line in lines if not line.startswith(f"{field} ="))
    with pytest.raises(ValueError, match=f"needs `{field}`"):
        audit.read_accepted(text, TODAY)


def test_the_accepted_advisories_of_this_repository_can_be_read() -> None:
    audit.read_accepted(audit.ACCEPTED.read_text(encoding="utf-8"), TODAY)


def test_ci_audits_and_checks_the_lock() -> None:
    steps = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "\nuv lock --quiet --check || " in steps
    assert "\nuv run --quiet python .ci/audit.py\n" in steps
