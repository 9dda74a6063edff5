"""One connection on a real socket: limits, refusals and their order."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from raw_http import Address, ask, connect, get, is_closed, post, receive

from modelway.components.serve.app import App
from modelway.components.serve.limits import Limits
from modelway.components.serve.predictor import PipelinePredictor
from modelway.components.serve.server import DrainingServer, bind
from modelway.components.serve.signature import InputColumn, Signature

PREDICT = "/v1/models/loans:predict"
BODY = b'{"instances": [{"income": 1}]}'
LIMITS = Limits(request_bytes=100_000, read_seconds=0.4, write_seconds=0.5, buffered_bytes=250_000, connections=60)
Start = Callable[..., tuple[Address, App]]


class Model:
    """Answers after a while, if it is to."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()

    def predict(self, rows: Any) -> Any:
        self.go_on.wait(10)
        return np.zeros(len(rows))


@pytest.fixture
def start() -> Iterator[Start]:
    servers: list[tuple[DrainingServer, threading.Thread]] = []

    def serve(limits: Limits = LIMITS, model: object | None = None) -> tuple[Address, App]:
        signature = Signature((InputColumn("income", "number"),))
        app = App(PipelinePredictor(model or Model(), signature), "loans", limits=limits)
        bound = bind("127.0.0.1", 0)
        server = DrainingServer(app, 0)
        bound.listen()
        thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
        thread.start()
        servers.append((server, thread))
        return bound.getsockname()[:2], app

    yield serve
    for server, thread in servers:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def metric(address: Address, name: str) -> float:
    match = re.search(rf"^{re.escape(name)} (\S+)$", ask(address, get("/metrics")).body.decode(), re.MULTILINE)
    return float(match.group(1)) if match else 0.0


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"\x16\x03\x01\x02\x00\x01", 400, "encrypted with TLS"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "is HTTP/2; use HTTP/1.1"),
        (b"GET /v2 HTTP/2.0\r\n\r\n", 400, "is HTTP/2.0; use HTTP/1.1"),
        (b"GET /v2\r\n\r\n", 400, "is HTTP/0.9; use HTTP/1.1"),
        (b"BREW /v2 HTTP/1.1\r\n\r\n", 400, "Invalid method"),
        (b"GET /v2 HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400, "whitespace"),
        (b"GET /v2 HTTP/1.1\r\nA: \x00\r\n\r\n", 400, "Invalid header value char"),
        (b"GET /v2 HTTP/1.1\r\nA : b\r\n\r\n", 400, "Invalid header token"),
        (b"CONNECT here:80 HTTP/1.1\r\n\r\n", 400, "the request's target b'here:80' is not a path"),
        (b"GET http://here HTTP/1.1\r\n\r\n", 400, "is not a path"),
        (post(PREDICT, BODY, "Connection: Upgrade", "Upgrade: h2c"), 400, "cannot ask for another protocol"),
        (b"POST /v2 HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "transfer encoding 'gzip' is not supported"),
        (b"POST /v2 HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400, "'gzip, chunked' is not supported"),
        (b"POST /v2 HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "transfer encoding"),
        (b"POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", 400, "Content-Length"),
        (b"POST /v2 HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "Content-Length"),
        (b"POST /v2 HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "Content-Length"),
        (b"POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, "chunk size"),
        (b"GET /" + b"a" * 8200 + b" HTTP/1.1\r\n\r\n", 414, "the path is larger than 8,192 bytes"),
        (b"GET /" + b"a" * 90_000, 414, "the path is larger than 8,192 bytes"),
        (b"GET /v2 HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431, "more than 100 headers"),
        (b"GET /v2 HTTP/1.1\r\nA: " + b"b" * 33_000 + b"\r\n\r\n", 431, "head is larger than 32,768 bytes"),
        (b"GET /v2 HTTP/1.1\r\nA: " + b"b" * 90_000, 431, "head is larger than 32,768 bytes"),
        (b"POST /v2 HTTP/1.1\r\nContent-Length: 100001\r\n\r\n", 413, "larger than 100,000 bytes; send fewer rows"),
    ],
)
def test_what_is_no_acceptable_request_is_answered_in_json_and_closed(
    start: Start, data: bytes, status: int, message: str
) -> None:
    address, _ = start()
    with connect(address) as connection:
        connection.sendall(data)
        answer = receive(connection)
        assert answer.status == status
        assert message in answer.error
        assert answer.headers["connection"] == "close"
        assert connection.recv(1) == b""


def test_a_client_that_sends_all_of_a_body_that_is_too_large_gets_the_answer(start: Start) -> None:
    address, _ = start()
    for data in (
        post(PREDICT, b" " * 3_000_000),
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 20,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 100_001,
    ):
        answer = ask(address, data)
        assert answer.status == 413
        assert "larger than 100,000 bytes" in answer.error


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"POST", "head"),
        (b"POST /v2 HTTP/1.1\r\nHost: here\r\n", "head"),
        (post(PREDICT, BODY)[:-1], "body"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n \r\n0\r\nTrailer: ", "body"),
    ],
)
def test_what_does_not_arrive_in_time_is_answered_408(start: Start, data: bytes, part: str) -> None:
    address, _ = start()
    for warm_up in (b"", get("/v2")):
        with connect(address) as connection:
            if warm_up:
                connection.sendall(warm_up)
                assert receive(connection).status == 200
            begun = time.monotonic()
            connection.sendall(data)
            answer = receive(connection)
            assert answer.status == 408
            assert answer.error == f"the request's {part} did not arrive within 0.4 seconds"
            assert connection.recv(1) == b""
            assert 0.2 < time.monotonic() - begun < 3


def test_neither_silence_nor_empty_lines_keep_a_connection_open(start: Start) -> None:
    address, _ = start()
    with connect(address) as silent, connect(address) as blank:
        for _ in range(40):
            if is_closed(blank) and is_closed(silent):
                break
            time.sleep(0.05)
            blank.setblocking(True)
            try:
                blank.sendall(b"\r\n")
            except ConnectionError:
                break
        assert is_closed(silent)


def test_a_request_counts_only_once_its_body_has_arrived(start: Start) -> None:
    address, app = start(Limits(requests=1, read_seconds=5))
    waiting = [connect(address) for _ in range(20)]
    for connection in waiting:
        connection.sendall(post(PREDICT, BODY)[:-1])
    assert ask(address, post(PREDICT, BODY)).status == 200
    assert app.metrics.in_flight == 0
    for connection in waiting:
        connection.sendall(BODY[-1:])
        assert receive(connection).status == 200
        connection.close()


def test_a_refusal_waits_for_the_answers_before_it(start: Start) -> None:
    model = Model()
    address, _ = start(model=model)
    for malformed, status in (
        (b"\x00\r\n\r\n", 400),
        (b"GET /v2 HTTP/1.1\r\nA: " + b"b" * 90_000, 431),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 200000\r\n\r\n", 413),
    ):
        model.go_on.clear()
        with connect(address) as connection:
            connection.sendall(post(PREDICT, BODY) + get("/v2/health/live") + malformed)
            time.sleep(0.2)
            model.go_on.set()
            assert [receive_one(connection) for _ in range(2)] == [200, 200]
            assert receive_one(connection) == status
            assert connection.recv(1) == b""


def receive_one(connection: socket.socket) -> int:
    """The status of the next response, read byte by byte."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    length = int(re.search(rb"content-length: (\d+)", head).group(1))  # type: ignore[union-attr]
    while length:
        length -= len(connection.recv(length))
    return int(head.split()[1])


def test_more_requests_than_may_wait_are_refused_after_those_that_may(start: Start) -> None:
    address, _ = start()
    with connect(address) as connection:
        connection.sendall(get("/v2/health/live") * 200)
        statuses = [receive_one(connection) for _ in range(10)]
        assert statuses == [200] * 9 + [429]
        assert connection.recv(1) == b""


def test_requests_one_after_the_other_are_answered_whatever_their_pieces(start: Start) -> None:
    address, _ = start()
    requests = [post(PREDICT, BODY), get("/v2"), get("/v2")]
    requests.append(b"GET /v2 HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n")
    requests.append(
        f"POST {PREDICT} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY)
        + b"0\r\nContent-Type: text/csv\r\n\r\n"
    )
    data = b"".join(requests)
    for size in (len(data), 1, 7, 100):
        with connect(address) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for begin in range(0, len(data), size):
                connection.sendall(data[begin : begin + size])
            assert [receive_one(connection) for _ in requests] == [200] * len(requests)


def test_what_waits_in_memory_is_limited_in_sum_and_the_oldest_gives_way(start: Start) -> None:
    address, _ = start(Limits(request_bytes=100_000, buffered_bytes=250_000, read_seconds=20))
    waiting = []
    for _ in range(5):
        waiting.append(connect(address))
        waiting[-1].sendall(post(PREDICT, b" " * 90_000)[:-1])
        time.sleep(0.1)
    answers = [receive(connection) for connection in waiting[:3]]
    assert [answer.status for answer in answers] == [503] * 3
    assert "no memory left" in answers[0].error
    assert answers[0].headers["retry-after"] == "1"
    assert not is_closed(waiting[3])
    assert ask(address, post(PREDICT, BODY)).status == 200
    assert metric(address, 'modelway_refused_total{reason="memory"}') == 3
    for connection in waiting:
        connection.close()
    time.sleep(0.3)
    assert metric(address, "modelway_buffered_bytes") == 0


def test_a_client_that_does_not_receive_its_responses_is_closed(start: Start) -> None:
    address, _ = start()
    body = b'{"instances": [' + b",".join([b"[1]"] * 20_000) + b"]}"
    with connect(address) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(200):
            try:
                connection.sendall(post(PREDICT, body))
            except (TimeoutError, ConnectionError):
                break
            time.sleep(0.02)
        else:
            raise AssertionError("the server took all of it")
    time.sleep(0.3)
    assert metric(address, "modelway_connections") == 1
    assert metric(address, "modelway_buffered_bytes") == 0


def test_the_oldest_unfinished_connection_gives_way_to_a_new_one(start: Start) -> None:
    address, _ = start(Limits(connections=10, read_seconds=20))
    known = connect(address)
    known.sendall(get("/v2"))
    assert receive(known).status == 200
    attackers = []
    for _ in range(30):
        attackers.append(connect(address))
        attackers[-1].sendall(b"GET / HTTP/1.1\r\nA: ")
    time.sleep(1.2)
    assert ask(address, post(PREDICT, BODY)).status == 200
    assert receive(attackers[0]).error == "the server has too many connections; try again"
    known.sendall(get("/v2/health/ready"))
    assert receive(known).status == 200
    assert metric(address, "modelway_connections") <= 10
    assert sum(map(is_closed, attackers[1:])) >= 15
    for connection in (known, *attackers):
        connection.close()


def test_refusals_are_logged_at_most_once_a_second_of_each_kind(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    address, _ = start()
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            assert ask(address, b"\x00\r\n\r\n").status == 400
        time.sleep(1.3)
    lines = [record.getMessage() for record in caplog.records if "refused (malformed" in record.getMessage()]
    assert 2 <= len(lines) <= 4
    suppressed = [int(match.group(1)) for line in lines if (match := re.search(r": (\d+) more", line))]
    assert len(lines) - len(suppressed) + sum(suppressed) == 50
