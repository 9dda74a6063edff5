"""The server on its socket: what leaves it, byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from modelway.components.serve.app import App
from modelway.components.serve.predictor import PipelinePredictor
from modelway.components.serve.server import DrainingServer, bind
from modelway.components.serve.signature import InputColumn, Signature

READY = b"GET /v2/health/ready HTTP/1.1\r\nHost: here\r\n\r\n"


class Model:
    def predict(self, _: object) -> object:
        return np.zeros(1)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    app = App(PipelinePredictor(Model(), Signature((InputColumn("income", "number"),))), "loans")
    bound = bind("127.0.0.1", 0)
    server = DrainingServer(app, 0)
    thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
    bound.listen()
    thread.start()
    yield bound.getsockname()
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=10) as connection:
        yield connection


def receive(connection: socket.socket, end: bytes) -> bytes:
    """What comes up to some bytes, or to the end."""
    content = b""
    while not content.endswith(end) or not end:
        part = connection.recv(10_000)
        if not part:
            break
        content += part
    return content


def predicting(more: str = "") -> bytes:
    body = b'{"instances": [{"income": 1}]}'
    head = f"POST /v1/models/loans:predict HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def test_an_answer_leaves_whole_in_one_piece(connection: socket.socket) -> None:
    for _ in range(20):
        connection.sendall(READY)
        answer = connection.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b'\r\n\r\n{"ready":true}')


def test_requests_that_come_at_once_are_answered_in_their_order(connection: socket.socket) -> None:
    connection.sendall(READY + predicting() + READY.replace(b"ready", b"live"))
    answers = receive(connection, b'{"live":true}')
    bodies = [response.partition(b"\r\n\r\n")[2] for response in answers.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b'{"ready":true}', b'{"predictions":[0.0]}', b'{"live":true}']


def test_an_answer_without_a_body_leaves_too(connection: socket.socket) -> None:
    connection.sendall(READY.replace(b"GET", b"HEAD"))
    assert receive(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 405 ")
    connection.sendall(READY)
    assert receive(connection, b"}").endswith(b'{"ready":true}')


def test_a_client_that_waits_to_be_asked_for_the_body_is_asked(connection: socket.socket) -> None:
    head, _, body = predicting("Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    connection.sendall(head + b"\r\n\r\n")
    assert receive(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(body)
    assert receive(connection, b"}").endswith(b'{"predictions":[0.0]}')


def test_what_is_no_http_is_refused_and_closed(connection: socket.socket) -> None:
    connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
    assert receive(connection, b"").startswith(b"HTTP/1.1 400 ")


def test_the_connection_is_closed_after_an_answer_where_the_client_asks_for_it(connection: socket.socket) -> None:
    connection.sendall(READY.replace(b"Host", b"Connection: close\r\nHost"))
    answer = receive(connection, b"")
    assert b"connection: close" in answer.lower()
    assert answer.endswith(b'{"ready":true}')
