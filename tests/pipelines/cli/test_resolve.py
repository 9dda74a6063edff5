"""`modelway resolve`."""

from __future__ import annotations

from office import BOB, Office


def test_it_prints_what_a_run_would_work_on_and_what_a_release_is_submitted_with(released: Office) -> None:
    answer = released.read_json("resolve")
    assert len(answer["notes"]) == 1
    assert "is repeated" in answer["notes"][0]
    assert answer["source_version"]
    arguments = answer["arguments"]
    assert set(arguments) == {"project", "contract", "policy", "store", "project_code", "git_commit", "requested_by"}
    assert arguments["requested_by"] == BOB
    assert all(arguments[name].startswith(arguments["store"]) for name in ("project", "contract", "policy"))
