"""kubectl as the administrator of the development cluster, and waiting for what it does."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def run_kubectl(*arguments: str, content: object = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs kubectl with `content`, a text or an object, as its input."""
    text = content if content is None or isinstance(content, str) else json.dumps(content)
    process = subprocess.run(
        ["kubectl", *arguments], input=text, capture_output=True, text=True, timeout=120, check=False
    )
    assert not check or process.returncode == 0, f"kubectl {' '.join(arguments)}: {process.stderr}"
    return process


def kubectl(*arguments: str, content: object = None, check: bool = True) -> str:
    """Runs kubectl as `run_kubectl` does; returns what it prints."""
    return run_kubectl(*arguments, content=content, check=check).stdout


def kubectl_json(*arguments: str) -> dict[str, Any]:
    """What kubectl prints as JSON."""
    content: dict[str, Any] = json.loads(kubectl(*arguments, "-o", "json"))
    return content


def eventually(condition: Callable[[], Any], description: str, seconds: float = 60, *, interval: float = 0.3) -> Any:
    """Waits until a condition is true, and returns its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(interval)
    return pytest.fail(f"not within {seconds:g} s: {description}")


@contextmanager
def temporary_namespace() -> Iterator[str]:
    """A namespace of its own, with its default account, until the end of the block."""
    name = f"mw{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    try:
        eventually(
            lambda: "default" in kubectl("-n", name, "get", "serviceaccounts", "-o", "name"), "it has an account"
        )
        yield name
    finally:
        kubectl("-n", name, "delete", "pods", "--all", "--force", "--grace-period=0", check=False)
        kubectl("delete", "namespace", name, "--wait=false")
