from __future__ import annotations

import socket

from modelway.components.probe.client import Client, Reply


def test_a_reply_states_its_error() -> None:
    assert str(Reply(422, b'{"error": "no region"}')) == "422 (no region)"
    assert str(Reply(200, b"[1]")) == "200"
    assert Reply(200, b"no JSON").answer is None


def test_a_status_and_a_body_come_back_over_one_connection(http_port: int) -> None:
    client = Client(http_port)
    assert client.get("/health") == Reply(200, b"GET /health ")
    assert client.post("/fail", b"{}") == Reply(500, b"POST /fail {}")
    client.close()


def test_a_refused_connection_is_a_reply_without_a_status() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reply = Client(port).get("/health")
    assert reply.status == 0
    assert str(reply).startswith("no answer (")
    assert "refused" in reply.error
