"""The server on its socket: what leaves it, byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from modelway.components.serve.app import App
from modelway.components.serve.predictor import Predictor
from modelway.components.serve.server import DrainingServer, bind
from modelway.components.serve.signature import Column, Signature

READY = b"GET /v2/health/ready HTTP/1.1\r\nHost: here\r\n\r\n"


class Model:
    def predict(self, _: object) -> object:
        return np.zeros(1)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    app = App(Predictor(Model(), Signature((Column("income", "number"),))), "loans")
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
def opened(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=10) as made:
        yield made


def received(opened: socket.socket, end: bytes) -> bytes:
    """What comes up to some bytes, or to the end."""
    found = b""
    while not found.endswith(end) or not end:
        part = opened.recv(10_000)
        if not part:
            break
        found += part
    return found


def predicting(more: str = "") -> bytes:
    body = b'{"instances": [{"income": 1}]}'
    head = f"POST /v1/models/loans:predict HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def test_an_answer_leaves_whole_in_one_piece(opened: socket.socket) -> None:
    for _ in range(20):
        opened.sendall(READY)
        answer = opened.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b'\r\n\r\n{"ready":true}')


def test_requests_that_come_at_once_are_answered_in_their_order(opened: socket.socket) -> None:
    opened.sendall(READY + predicting() + READY.replace(b"ready", b"live"))
    answers = received(opened, b'{"live":true}')
    bodies = [one.partition(b"\r\n\r\n")[2] for one in answers.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b'{"ready":true}', b'{"predictions":[0.0]}', b'{"live":true}']


def test_an_answer_without_a_body_leaves_too(opened: socket.socket) -> None:
    opened.sendall(READY.replace(b"GET", b"HEAD"))
    assert received(opened, b"\r\n\r\n").startswith(b"HTTP/1.1 405 ")
    opened.sendall(READY)
    assert received(opened, b"}").endswith(b'{"ready":true}')


def test_a_client_that_waits_to_be_asked_for_the_body_is_asked(opened: socket.socket) -> None:
    head, _, body = predicting("Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    opened.sendall(head + b"\r\n\r\n")
    assert received(opened, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    opened.sendall(body)
    assert received(opened, b"}").endswith(b'{"predictions":[0.0]}')


def test_what_is_no_http_is_refused_and_closed(opened: socket.socket) -> None:
    opened.sendall(b"\x16\x03\x01 hello\r\n\r\n")
    assert received(opened, b"").startswith(b"HTTP/1.1 400 ")


def test_the_connection_is_closed_after_an_answer_where_the_client_asks_for_it(opened: socket.socket) -> None:
    opened.sendall(READY.replace(b"Host", b"Connection: close\r\nHost"))
    answer = received(opened, b"")
    assert b"connection: close" in answer.lower()
    assert answer.endswith(b'{"ready":true}')
