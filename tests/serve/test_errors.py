from __future__ import annotations

from modelway.components.serve.errors import RequestError, quote


def test_a_long_value_is_cut_in_the_message() -> None:
    assert quote("x" * 10_000) == "'" + "x" * 78 + "…"
    assert quote("x" * 78) == "'" + "x" * 78 + "'"


def test_a_value_may_be_nested_as_deeply_as_the_client_likes() -> None:
    value: object = 1
    for _ in range(100_000):
        value = [value]
    assert quote(value) == "[[[[...]]]]"
    assert quote([1, -2]) == "[1, -2]"
    assert len(quote({str(number): ["x" * 1000] * 1000 for number in range(1000)})) == 80
    assert quote("\ud800") == r"'\ud800'"


def test_an_error_has_the_status_message_and_headers_to_answer_with() -> None:
    error = RequestError(503, "busy", headers={"retry-after": "1"})
    assert (error.status, error.message, error.headers, str(error)) == (503, "busy", {"retry-after": "1"}, "busy")
    assert RequestError(400, "empty").headers == {}
