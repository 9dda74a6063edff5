"""`modelway rollback`."""

from __future__ import annotations

from office import Office


def test_without_a_version_served_before_there_is_nothing_to_roll_back_to(released: Office) -> None:
    error = released.read_json("rollback", "staging", "-m", "complaints", code=2)["error"]
    assert "of visits well before any" in error["message"]
    assert "name the one to go back to with --to" in error["remedy"]
