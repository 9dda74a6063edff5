"""How long good requests take while the model server is attacked, beside how long they take when it is not.

Packages the insurance example's model as a signed release and serves it. Good clients send 200 requests a second on
four connections that stay open, and 20 a second on new ones. The attacks, each in a process of its own:

    slow-body   500 connections declare a body and send a byte of it every second
    slow-head   1,000 connections send a byte of a header every second
    big-head    9 connections send a header of 45 MB as fast as they can, again and again

Connections that the server closes are opened again at once. Printed are the 50th and 99th percentile of the good
requests' latency, quiet and under each attack, their ratio, how many requests failed, and the server's greatest memory.

    uv run python benchmarks/server_under_attack.py --seconds 12 --rounds 3
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from server_apps import NAME, make_release
from server_speed import first_answer, memory_mib, requests_of, start_server, stop

SLOW_HEAD = b"POST / HTTP/1.1\r\nHost: here\r\nA: "
SLOW_BODY = f"POST /v1/models/{NAME}:predict HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n".encode()
ATTACKS = {"slow-body": (500, SLOW_BODY), "slow-head": (1000, SLOW_HEAD), "big-head": (9, SLOW_HEAD)}
KEPT, PAUSE_SECONDS, NEW_EVERY_SECONDS = 4, 0.02, 0.05
BIG_BYTES = 45_000_000


async def _drip(port: int, begin: bytes) -> None:
    """Sends the beginning of a request, and then a byte a second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begin)
    try:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    if not await reader.read(1000):
                        return
            writer.write(b"a")
    finally:
        writer.transport.abort()


async def _flood(port: int, begin: bytes) -> None:
    """Sends one large header."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begin)
    chunk = b"a" * 1_000_000
    try:
        for _ in range(BIG_BYTES // len(chunk)):
            writer.write(chunk)
            await writer.drain()
        await reader.read()
    finally:
        writer.transport.abort()


async def attack(kind: str, port: int) -> None:
    """Attacks until the process is killed."""
    count, begin = ATTACKS[kind]
    once = _flood if kind == "big-head" else _drip

    async def again_and_again() -> None:
        while True:
            with contextlib.suppress(OSError):
                await once(port, begin)
            await asyncio.sleep(0.05)

    await asyncio.gather(*(again_and_again() for _ in range(count)))


async def _ask(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes) -> bool:
    reader, writer = stream
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
    return b" 200 " in head[:20]


async def good_clients(requests: list[bytes], port: int, seconds: float) -> dict[str, float]:
    """Sends good requests for some seconds; returns the latencies' percentiles, and how many were not answered."""
    latencies: list[float] = []
    failures = 0
    end = time.perf_counter() + seconds

    async def timed(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None, number: int) -> None:
        nonlocal failures
        begun = time.perf_counter()
        is_new = stream is None
        try:
            stream = stream or await asyncio.open_connection("127.0.0.1", port)
            failures += not await _ask(stream, requests[number % len(requests)])
        except (OSError, asyncio.IncompleteReadError):
            failures += 1
        latencies.append(time.perf_counter() - begun)
        if is_new and stream is not None:
            stream[1].close()

    async def kept(first: int) -> None:
        stream = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            await timed(stream, first + len(latencies))
            await asyncio.sleep(PAUSE_SECONDS)

    async def new() -> None:
        tasks = []
        while time.perf_counter() < end:
            tasks.append(asyncio.create_task(timed(None, len(latencies))))
            await asyncio.sleep(NEW_EVERY_SECONDS)
        await asyncio.gather(*tasks)

    await asyncio.gather(*map(kept, range(KEPT)), new())
    latencies.sort()
    count = len(latencies)
    return {
        "p50_ms": 1000 * latencies[count // 2],
        "p99_ms": 1000 * latencies[min(count - 1, int(0.99 * count))],
        "requests": count,
        "failures": failures,
    }


def measure(kind: str, requests: list[bytes], port: int, seconds: float) -> dict[str, float]:
    """Measures good requests while an attack goes on; `quiet`: without one."""
    if kind == "quiet":
        return asyncio.run(good_clients(requests, port, seconds))
    attacker = subprocess.Popen([sys.executable, __file__, "attack", kind, str(port)], stderr=subprocess.DEVNULL)
    try:
        time.sleep(2)  # until its connections are open
        return asyncio.run(good_clients(requests, port, seconds))
    finally:
        attacker.kill()
        attacker.wait()
        time.sleep(1)


def main() -> None:
    """Measures quiet and under each attack, in turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the release here, and use the one that is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = options.folder or Path(work)
        folder.mkdir(exist_ok=True)
        if not (folder / "rows.json").exists():
            make_release(folder)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        requests, begun = requests_of("ours", folder), time.perf_counter()
        process = start_server("ours", folder, port, folder / "attacked.log")
        memory: dict[str, float] = {}
        runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in ("quiet", *ATTACKS)}
        try:
            first_answer("ours", folder, port, begun, process)
            measure("quiet", requests, port, 2)
            for _ in range(options.rounds):
                for kind, results in runs.items():
                    results.append(measure(kind, requests, port, options.seconds))
                    memory[kind] = memory_mib(process.pid)  # the greatest so far
        finally:
            stop(process)
    quiet = statistics.median(run["p99_ms"] for run in runs["quiet"])
    for kind, results in runs.items():
        medians = {key: statistics.median(run[key] for run in results) for key in ("p50_ms", "p99_ms", "requests")}
        failures = sum(run["failures"] for run in results)
        print(f"{kind:10}" + "".join(f"  {key} {value:8.2f}" for key, value in medians.items()), end="")
        print(f"  failures {failures:.0f}  p99 {medians['p99_ms'] / quiet:5.2f} x quiet  memory {memory[kind]:.0f} MiB")
    print(json.dumps(runs))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    match sys.argv[1:]:
        case ["attack", kind, port]:
            asyncio.run(attack(kind, int(port)))
        case _:
            main()
