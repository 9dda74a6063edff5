"""Attacks by anyone who can open connections to the model server."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from light_models import twice_the_income, write_light_model
from model_servers import serving
from raw_http import Address, Answer, address_of, ask, connect, get, post, receive, values_of

PREDICT = "/v1/models/model:predict"
BODY = b'{"instances": [{"income": 1.5}]}'
READ_SECONDS = 3.0
MIB = 1024 * 1024


class Target:
    """A server process with its default limits, but for the time that a request may take to arrive."""

    def __init__(self, pid: int, address: Address, log: Path) -> None:
        self.address, self._log, self._pid = address, log, pid

    def predict(self) -> Answer:
        """Asks as a good client."""
        return ask(self.address, post(PREDICT, BODY))

    def serves(self) -> bool:
        """Whether predictions, health and metrics are answered, each on a new connection."""
        answers = [self.predict(), *(ask(self.address, get(path)) for path in ("/v2/health/live", "/metrics"))]
        return [answer.status for answer in answers] == [200] * 3

    def refused(self, reason: str) -> float:
        """How many requests were refused for a reason."""
        text = ask(self.address, get("/metrics")).body.decode()
        match = re.search(rf'modelway_refused_total{{reason="{reason}"}} (\S+)', text)
        return float(match.group(1)) if match else 0.0

    def memory(self) -> int:
        """The process's memory in bytes."""
        status = Path(f"/proc/{self._pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def log(self) -> str:
        """All that the process has printed."""
        return self._log.read_text()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("served")
    model = write_light_model(folder / "model", twice_the_income(), {"income": "double"})
    with serving(model, folder / "log", "--read-seconds", str(READ_SECONDS)) as (process, url):
        target = Target(process.pid, address_of(url), folder / "log")
        assert target.serves()
        yield target
        assert target.serves()
        assert process.poll() is None
        assert "Traceback" not in target.log()


def open_connections(target: Target, count: int, data: bytes) -> list[socket.socket]:
    """Connections on which something was sent that is not a whole request."""
    connections = []
    for _ in range(count):
        connections.append(connect(target.address, 3 * READ_SECONDS))
        connections[-1].sendall(data)
    return connections


def close(connections: list[socket.socket]) -> None:
    """Closes connections."""
    for connection in connections:
        connection.close()


def test_connections_that_declare_a_body_and_send_one_byte_keep_nobody_out(target: Target) -> None:
    connections = open_connections(target, 300, post(PREDICT, BODY)[: -len(BODY) + 1])
    for _ in range(20):
        assert target.serves()
    answers = [receive(connection) for connection in connections]
    assert {answer.status for answer in answers} == {408}
    assert answers[0].error == "the request's body did not arrive within 3 seconds"
    assert target.refused("slow") >= 300
    close(connections)


def test_heads_that_never_end_are_cut_and_keep_nobody_out(target: Target) -> None:
    connections = open_connections(target, 1100, b"POST / HTTP/1.1\r\nHost: here\r\nA: ")
    for _ in range(10):
        assert target.serves()
    answers = [receive(connection) for connection in connections]
    assert {answer.status for answer in answers} <= {408, 503, 0}
    assert sum(answer.status == 408 for answer in answers) >= 900
    assert answers[-1].error == "the request's head did not arrive within 3 seconds"
    close(connections)


def test_large_heads_are_refused_before_they_take_memory(target: Target) -> None:
    before = target.memory()
    connections = open_connections(target, 30, b"GET / HTTP/1.1\r\nA: ")
    for connection in connections:
        with contextlib.suppress(ConnectionError):
            for _ in range(45):
                connection.sendall(b"b" * MIB)
    assert target.memory() - before < 20 * MIB
    assert target.serves()
    answer = ask(target.address, b"GET / HTTP/1.1\r\nA: " + b"b" * 100_000)
    assert (answer.status, answer.error) == (431, "the request's head is larger than 32,768 bytes")
    close(connections)


def test_bodies_that_stop_short_take_a_limited_memory_in_sum(target: Target) -> None:
    before = target.memory()
    connections = open_connections(target, 60, post(PREDICT, b" " * 3 * MIB)[:-1])
    assert target.memory() - before < 90 * MIB
    assert target.serves()
    assert target.refused("memory") >= 40
    close(connections)


def test_requests_sent_all_at_once_and_never_received_take_a_limited_memory(target: Target) -> None:
    before = target.memory()
    connections = []
    for _ in range(100):
        connection = connect(target.address)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.setblocking(False)
        connections.append(connection)
        for _ in range(4):
            try:
                connection.send(get("/v2/models/model") * 3000)
            except OSError:
                break
    time.sleep(0.5)
    assert target.memory() - before < 60 * MIB
    assert target.serves()
    close(connections)


def test_noise_is_logged_at_most_once_a_second(target: Target) -> None:
    before, begun = len(target.log().splitlines()), time.monotonic()
    for number in range(500):
        assert ask(target.address, b"\x00 noise %d\r\n\r\n" % number).status == 400
    lines = target.log().splitlines()[before:]
    assert len(lines) <= 2 * (time.monotonic() - begun) + 4
    assert target.serves()


def test_a_body_smuggled_behind_another_is_not_taken_for_a_request(target: Target) -> None:
    inner = get("/v2/health/live")
    for head in (
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(inner),
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n" % len(inner),
        b"Content-Length : %d\r\n" % len(inner),
        b"Content-Length: %d\r\n folded\r\n" % len(inner),
    ):
        with connect(target.address) as connection:
            connection.sendall(b"POST /v2 HTTP/1.1\r\nHost: here\r\n" + head + b"\r\n" + inner)
            assert receive(connection).status == 400
            assert connection.recv(1) == b""


def test_sigterm_does_not_wait_for_what_never_arrives(tmp_path: Path) -> None:
    model = write_light_model(tmp_path / "model", twice_the_income(), {"income": "double"})
    with serving(model, tmp_path / "log", "--drain-seconds", "0.5", "--read-seconds", "60") as (process, url):
        address = address_of(url)
        heads = [connect(address) for _ in range(20)]
        for connection in heads:
            connection.sendall(b"POST / HTTP/1.1\r\nA: ")
        with connect(address) as known:
            known.sendall(post(PREDICT, BODY))
            assert values_of(receive(known)) == {"predictions": [3.0]}
            process.send_signal(signal.SIGTERM)
            known.sendall(post(PREDICT, BODY))
            answer = receive(known)
            assert values_of(answer) == {"predictions": [3.0]}
        assert process.wait(10) == 0
        close(heads)
