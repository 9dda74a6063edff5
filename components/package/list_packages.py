"""Lists an image's system packages, and the versions of Python and Modelway.

Run by Dockerfile.serving with the standard library alone.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from importlib.metadata import distributions


def list_packages(site_packages: str) -> dict[str, object]:
    """Returns the versions of Modelway and Python, the distribution, and its packages.

    Args:
        site_packages: The folder that Modelway is installed in.
    """
    own = {distribution.metadata["Name"]: distribution.version for distribution in distributions(path=[site_packages])}
    return {
        "modelway": own["modelway"],
        "python": platform.python_version(),
        "distribution": platform.freedesktop_os_release()["ID"],
        "system": _system(),
    }


def _system() -> list[dict[str, str]]:
    """The distribution's packages, as dpkg or apk lists them."""
    if shutil.which("dpkg-query"):
        lines = _lines("dpkg-query", "--show", "--showformat", r"${Package}\t${Version}\t${Architecture}\n")
        rows = [line.split("\t") for line in lines]
    else:
        machine = platform.machine()
        rows = [[*line.split(" ")[0].rsplit("-", 2), machine] for line in _lines("apk", "list", "--installed")]
        rows = [[name, f"{version}-{release}", arch] for name, version, release, arch in rows]
    return [{"name": name, "version": version, "architecture": arch} for name, version, arch in sorted(rows)]


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


if __name__ == "__main__":
    json.dump(list_packages(sys.argv[1]), sys.stdout, indent=1)
