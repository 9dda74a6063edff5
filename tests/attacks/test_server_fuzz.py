"""Requests that nobody would write, by the thousand: none is the server's fault, and none stays in its memory."""

from __future__ import annotations

import asyncio
import copy
import json
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from model_servers import serving
from raw_http import Address, address_of, get, post
from served_models import TrainedModel, sample_rows, train_model, write_release

ROW: dict[str, Any] = {"income": 0.5, "age": 30, "region": "n", "opened": "2024-02-03T04:05:06"}
DATATYPES = {"income": "FP64", "age": "INT64", "region": "BYTES", "opened": "BYTES"}
CONNECTIONS, SEED = 24, 14
DEEP, MANY = "@deep@", "@many@"
HOSTILE: tuple[Any, ...] = (
    "\ud800", "a\udfffb", "\x00", "\r\nX: y", "\u202e", "", "x" * 100_000, "NaT", "nan", "1e5",
    10**400, -(10**400), 2**63, 2**64, -1, 0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), -float("inf"),
    True, None, [], {}, [[]], [None] * 500, {"": None}, {"a": {"b": [{}] * 50}}, list(range(3000)),
    "0001-01-01", "9999-12-31T23:59:59.999999", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2024-02-30",
    "1677-09-21", "2262-04-12", "2024-02-03T04:05:06.123456789Z", "FP16", "BOOL", "BYTES", "UINT8", [10**9], [1, 1],
    [-1], [10**400], DEEP, MANY, "yes", 3.5,
)  # fmt: skip


def v1(rows: int) -> Any:
    """Rows as objects."""
    return {"instances": [dict(ROW) for _ in range(rows)]}


def split(rows: int) -> Any:
    """Rows as lists."""
    return {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values()) for _ in range(rows)]}}


def v2(rows: int) -> Any:
    """Tensors, with everything that a request may name."""
    inputs: list[Any] = [
        {"name": name, "datatype": DATATYPES[name], "shape": [rows, 1], "data": [value] * rows}
        for name, value in ROW.items()
    ]
    output = {"name": "predict", "parameters": {"binary_data": False}}
    return {"id": "a7", "inputs": inputs, "outputs": [output], "parameters": {"binary_data_output": False}}


def binary(rows: int) -> tuple[Any, bytes]:
    """Tensors of which all are binary."""
    numbers = {"income": np.full(rows, 0.5).tobytes(), "age": np.full(rows, 30).tobytes()}
    texts = {
        name: b"".join([struct.pack("<I", len(ROW[name])) + ROW[name].encode()] * rows) for name in ("region", "opened")
    }
    blobs = {**numbers, **texts}
    inputs = [
        {"name": name, "datatype": DATATYPES[name], "shape": [rows], "parameters": {"binary_data_size": len(blob)}}
        for name, blob in blobs.items()
    ]
    return {"inputs": inputs}, b"".join(blobs.values())


class Fuzzer:
    """Makes requests that are wrong in one to three places, the same ones for the same seed."""

    def __init__(self, seed: int, prefix: str) -> None:
        self._dice = random.Random(seed)
        self._v1, self._v2 = f"/v1/models/{prefix}:predict", f"/v2/models/{prefix}/infer"

    def request(self) -> bytes:
        """The next request, as bytes."""
        make: Callable[[], bytes] = self._dice.choices(
            (self._json, self._binary, self._damaged, self._head, self._noise), (6, 3, 3, 2, 1)
        )[0]
        return make()

    def valid(self) -> bytes:
        """A right request in one of the forms."""
        rows = self._dice.choice((1, 2, 50))
        form = self._dice.choice((v1, split, v2))
        if self._dice.random() < 0.25:
            document, blobs = binary(rows)
            head = json.dumps(document).encode()
            return self._tensors(head, blobs, len(head))
        return post(self._v2 if form is v2 else self._v1, json.dumps(form(rows)).encode())

    def _json(self) -> bytes:
        form = self._dice.choice((v1, split, v2, v2))
        document = form(self._dice.choice((1, 1, 3)))
        for _ in range(self._dice.choice((1, 1, 2, 3))):
            self._mutate(document)
        return post(self._v2 if form is v2 else self._v1, self._encode(document))

    def _binary(self) -> bytes:
        document, blobs = binary(self._dice.choice((1, 3)))
        if self._dice.random() < 0.6:
            self._mutate(document)
        if self._dice.random() < 0.6:
            blobs = self._damage(blobs)
        head = self._encode(document)
        length = len(head)
        if self._dice.random() < 0.2:
            length = self._dice.choice((0, -1, 10**30, length + 1, length - 1, len(head) + len(blobs) + 1))
        return self._tensors(head, blobs, length)

    def _tensors(self, head: bytes, blobs: bytes, length: int) -> bytes:
        headers = ("Content-Type: application/octet-stream", f"Inference-Header-Content-Length: {length}")
        return post(self._v2, head + blobs, *headers)

    def _damaged(self) -> bytes:
        return self._damage(self.valid())

    def _head(self) -> bytes:
        header = self._dice.choice(
            (
                "Content-Type: text/csv", "Content-Type: \xff\xfe", "Content-Encoding: gzip",
                "Transfer-Encoding: chunked",
                "Transfer-Encoding: gzip, chunked", "Expect: 100-continue", "Expect: 200-ok", "Content-Length: 7",
                "Inference-Header-Content-Length: 1", f"Inference-Header-Content-Length: {'9' * 5000}", "Upgrade: h2c",
                "Connection: Upgrade\r\nUpgrade: websocket", "A: " + "b" * 40_000, "A: b\r\n" * 150 + "A: c", "A: \x00",
                "Connection: keep-alive, close", "Host: other", "Connection: \xff", "A:b\r\n folded",
            )
        )  # fmt: skip
        data = post(self._v1, json.dumps(v1(1)).encode(), header.encode("latin-1").decode("latin-1"))
        first = self._dice.choice(
            (
                f"POST {self._v1} HTTP/1.1", f"POST {self._v1} HTTP/1.0", "POST /%ED%A0%80%00 HTTP/1.1",
                "GET // HTTP/1.1",
                f"POST http://h{self._v1} HTTP/1.1", f"PUT {self._v1} HTTP/1.1", f"HEAD {self._v1} HTTP/1.1",
                f"POST {self._v1}?a=%ff#b HTTP/1.1", "POST /" + "a" * 9000 + " HTTP/1.1", "OPTIONS * HTTP/1.1",
                "CONNECT a:1 HTTP/1.1", f"POST {self._v1} HTTP/3.0",
            )
        )  # fmt: skip
        return first.encode() + data[data.index(b"\r\n") :]

    def _noise(self) -> bytes:
        return self._dice.choice(
            (
                self._dice.randbytes(300), b"\x16\x03\x01" + self._dice.randbytes(200),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"\r\n" * 50 + b"GET", get("/v2") * 30, b"GET",
                b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
            )
        )  # fmt: skip

    def _damage(self, data: bytes) -> bytes:
        content = bytearray(data)
        for _ in range(self._dice.choice((1, 1, 2, 5))):
            place = self._dice.randrange(len(content) + 1)
            match self._dice.randrange(4):
                case 0:
                    content[place : place + 1] = self._dice.randbytes(1)
                case 1:
                    del content[place : place + self._dice.choice((1, 3, 20))]
                case 2:
                    content[place:place] = self._dice.randbytes(self._dice.choice((1, 4, 30)))
                case _:
                    content[place:place] = content[place : place + self._dice.choice((1, 8, 100))]
        return bytes(content)

    def _mutate(self, document: Any) -> None:
        """Changes a value, a key or the length of a list somewhere within."""
        owner = document
        while True:
            places = list(owner) if isinstance(owner, dict) else list(range(len(owner)))
            if not places:
                return
            place = self._dice.choice(places)
            child = owner[place]
            if isinstance(child, dict | list) and child and self._dice.random() < 0.8:
                owner = child
                continue
            match self._dice.randrange(6):
                case 0:
                    del owner[place]
                case 1 if isinstance(owner, dict):
                    owner[self._dice.choice(("\ud800", "", "x" * 5000, "name", "shape", "data"))] = owner.pop(place)
                case 2 if isinstance(owner, list):
                    owner.append(copy.deepcopy(child))
                case _:
                    owner[place] = copy.deepcopy(self._dice.choice(HOSTILE))
            return

    def _encode(self, document: Any) -> bytes:
        text = json.dumps(document)
        text = text.replace(json.dumps(DEEP), "[" * self._dice.choice((300, 970, 990, 100_000)) + "1" + "]" * 990)
        text = text.replace(json.dumps(MANY), "[" + "[]," * 30_000 + "[]]")
        encoding = self._dice.choices(("utf-8", "utf-16", "utf-32", "latin-1"), (30, 1, 1, 1))[0]
        return text.encode(encoding)


async def exchange(address: Address, data: bytes) -> list[int]:
    """Sends data, and returns the statuses of all responses until the server closes or is silent."""
    reader, writer = await asyncio.open_connection(*address)
    statuses: list[int] = []
    try:
        writer.write(data)
        while True:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 1.5 if statuses else 10)
            status = int(head.split()[1])
            if status == 100:
                continue
            statuses.append(status)
            lines = head.lower().partition(b"content-length:")[2]
            body = b"" if data.startswith(b"HEAD") else await reader.readexactly(int(lines.split(b"\r\n")[0]))
            if status >= 400 and body:
                assert list(json.loads(body)) == ["error"], (status, body[:200], data[:300])
            if len(statuses) == 1 and b"connection: close" not in head.lower() and data.count(b"HTTP/1.") < 2:
                break
    except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
        pass
    finally:
        writer.transport.abort()
    return statuses


def send_all(address: Address, requests: list[bytes]) -> list[tuple[bytes, int]]:
    """Sends requests, some at a time, each on a connection of its own; returns them with each status."""

    async def send() -> list[tuple[bytes, int]]:
        room = asyncio.Semaphore(CONNECTIONS)

        async def one(data: bytes) -> list[tuple[bytes, int]]:
            async with room:
                return [(data, status) for status in await exchange(address, data)]

        return [pair for pairs in await asyncio.gather(*map(one, requests)) for pair in pairs]

    return asyncio.run(send())


class Target(NamedTuple):
    """A served model, and how many requests it gets."""

    pid: int
    address: Address
    name: str
    log: Path
    requests: int


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return train_model(tmp_path_factory.mktemp("trained"), sample_rows())


@pytest.fixture(scope="module", params=[1500, 150], ids=["converted", "pipeline"])
def target(
    request: pytest.FixtureRequest, model: TrainedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """A served release, and the same model as its pipeline, which is slower; with a prediction log."""
    folder = tmp_path_factory.mktemp("served")
    more = ("--log-to", str(folder / "predictions"), "--read-seconds", "1")
    served, name, source = model.folder, "model", "--model"
    if request.param > 1000:
        bundle = write_release(folder, model, sample_rows())
        served, name, source = bundle.folder, "loans", "--release"
        more = (*more, "--public-key", str(bundle.keys / "key.pub"))
    with serving(served, folder / "log", *more, source=source) as (process, url):
        yield Target(process.pid, address_of(url), name, folder / "log", request.param)
        assert process.poll() is None


def test_no_request_is_the_servers_fault_and_none_stays_in_memory(target: Target) -> None:
    address, log = target.address, target.log
    fuzzer = Fuzzer(SEED, target.name)
    valid = [fuzzer.valid() for _ in range(target.requests // 3)]
    hostile = [fuzzer.request() for _ in range(target.requests)]

    def memory() -> float:
        answers = Counter(status for _, status in send_all(address, valid))
        assert answers == {200: len(valid)}
        return int(Path(f"/proc/{target.pid}/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024

    memory()
    before = memory()
    answers = send_all(address, hostile)
    faults = [(status, data[:3000]) for data, status in answers if status >= 500]
    assert not faults, (len(faults), faults[:3], log.read_text()[-3000:])
    statuses = Counter(status for _, status in answers)
    assert sum(statuses.values()) >= 0.95 * target.requests
    assert {200, 400, 404, 408, 415, 422} <= set(statuses), statuses
    assert memory() <= 1.2 * before
    assert "Traceback" not in log.read_text()
