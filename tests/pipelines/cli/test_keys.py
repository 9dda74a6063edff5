"""`modelway keys`."""

from __future__ import annotations

from office import Office


def test_keys_are_made_once_and_never_written_over(released: Office) -> None:
    before = {path.name: path.read_bytes() for path in released.keys.iterdir()}
    assert set(before) == {"signing.pem", "verifying.pem", "encryption.key", "encryption.recipient"}
    for secret in ("signing.pem", "encryption.key"):
        assert (released.keys / secret).stat().st_mode & 0o077 == 0
    again = released.read_json("keys", code=2)
    assert again["error"]["file"].endswith("signing.pem")
    assert {path.name: path.read_bytes() for path in released.keys.iterdir()} == before
