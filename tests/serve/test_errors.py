from __future__ import annotations

from modelway.components.serve.errors import RequestError, quote


def test_a_long_value_is_cut_in_the_message() -> None:
    assert quote("x" * 10_000) == "'" + "x" * 78 + "…"
    assert quote("x" * 78) == "'" + "x" * 78 + "'"


def test_an_error_has_the_status_message_and_headers_to_answer_with() -> None:
    error = RequestError(503, "busy", headers={"retry-after": "1"})
    assert (error.status, error.message, error.headers, str(error)) == (503, "busy", {"retry-after": "1"}, "busy")
    assert RequestError(400, "empty").headers == {}
