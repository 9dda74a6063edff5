"""Audits the locked packages against a database of advisories, by pip-audit.

Fails on an advisory that `advisories.toml` does not accept, and on packages that were not audited. Where no database
can be reached it says so and succeeds: a machine may have nothing but a package index, and pip-audit alone would then
report that nothing is known.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parent.parent
ACCEPTED = ROOT / ".ci" / "advisories.toml"
_PIP_AUDIT = "pip-audit@2.10.1"
_KNOWN_TO_BE_VULNERABLE = "jinja2==2.4.1"  # of CVE-2014-0012; a database that knows nothing of it is none
_SERVICES = (("--vulnerability-service", "pypi"), ("--vulnerability-service", "osv"))
_FIELDS = {"id": str, "package": str, "reason": str, "until": dt.date}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what is known; returns 0 if all of it is accepted or no database can be reached, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--osv-url", help="the database, in place of the package index' and OSV's own")
    parser.add_argument("--accepted", type=Path, default=ACCEPTED, help="the file of accepted advisories")
    parser.add_argument("--requirements", type=Path, help="a hashed requirements file, in place of the lock's packages")
    options = parser.parse_args(arguments)
    try:
        accepted = read_accepted(options.accepted.read_text(encoding="utf-8"), dt.datetime.now(dt.UTC).date())
    except ValueError as error:
        print(f"audit: {options.accepted}: {error}")
        return 1
    services = _SERVICES if options.osv_url is None else (("-s", "osv", "--osv-url", options.osv_url),)
    with tempfile.TemporaryDirectory() as work:
        known = Path(work) / "known.txt"
        known.write_text(f"{_KNOWN_TO_BE_VULNERABLE}\n", encoding="utf-8")
        service = next((service for service in services if _vulnerable(_audit(service, known, "--no-deps")[0])), None)
        if service is None:
            print("audit: SKIPPED: no database of advisories can be reached from here; nothing was audited")
            return 0
        requirements = options.requirements or _locked(Path(work))
        packages, errors = _audit(service, requirements, "--require-hashes")
    if not packages:
        print(f"audit: pip-audit failed: {errors}")
        return 1
    problems = problems_of(packages, accepted)
    print("\n".join(f"audit: {problem}" for problem in problems) or f"audit: {len(packages)} packages, nothing known")
    return 1 if problems else 0


def read_accepted(text: str, today: dt.date) -> dict[str, str]:
    """The package of each accepted advisory, by its id, of those that are accepted today.

    Raises:
        ValueError: an entry lacks a field.
    """
    entries = tomllib.loads(text).get("accepted", [])
    for entry in entries:
        for name, kind in _FIELDS.items():
            if not isinstance(entry.get(name), kind) or not entry[name]:
                raise ValueError(f"an accepted advisory needs `{name}`, a {kind.__name__}: {entry}")
    return {entry["id"]: entry["package"] for entry in entries if today <= entry["until"]}


def problems_of(packages: Sequence[dict[str, Any]], accepted: dict[str, str]) -> list[str]:
    """A sentence for each advisory that is not accepted, and each package that was not audited."""
    problems = []
    for package in packages:
        if "skip_reason" in package:
            problems.append(f"{package['name']} was not audited: {package['skip_reason']}")
        for advisory in package.get("vulns", ()):
            names = [advisory["id"], *advisory.get("aliases", ())]
            if not any(accepted.get(name) == package["name"] for name in names):
                fixes = ", ".join(advisory["fix_versions"]) or "no version"
                problems.append(f"{package['name']} {package['version']}: {' '.join(names)}, fixed in {fixes}")
    return problems


def _vulnerable(packages: Sequence[dict[str, Any]]) -> bool:
    return any(package.get("vulns") for package in packages)


def _audit(service: Sequence[str], requirements: Path, option: str) -> tuple[list[dict[str, Any]], str]:
    """What pip-audit reports of each package; nothing if it fails, and the last that it says."""
    command = [
        *(find_uv_bin(), "tool", "run", "--quiet", _PIP_AUDIT, "--requirement", str(requirements), *service),
        *("--disable-pip", option, "--format", "json", "--progress-spinner", "off"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(result.stdout)["dependencies"]
    except ValueError:
        packages = []
    return packages, (result.stderr.strip().splitlines() or ["no output"])[-1]


def _locked(work: Path) -> Path:
    """The requirements of all that the lock has, for every extra and group."""
    file = work / "requirements.txt"
    options = ("--quiet", "--frozen", "--no-emit-project", "--all-extras", "--all-groups", "--output-file", str(file))
    subprocess.run([find_uv_bin(), "export", *options], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return file


if __name__ == "__main__":
    sys.exit(main())
