"""How fast the model server is, beside other ways to serve the same model.

Trains the insurance example's model, packages it as a signed release, and starts these in turn, each as one worker:

    ours       the model server, with validation, metrics, drift and a prediction log of every request
    pipeline   the same, of the pipeline itself, as a model that does not convert is served
    fastapi    a bare FastAPI app around ONNX Runtime, without any of them
    bare       a bare ASGI app around ONNX Runtime, likewise
    empty      an ASGI app that answers nothing
    mlflow     `mlflow models serve`

One process asks them over loopback, on some connections, one row at a time, each connection as soon as it is answered.
Printed are the medians over rounds: requests per second, the 50th and 99th percentile of the latency, the seconds from
starting to the first right answer, and the process's greatest memory; then the ratios.

    uv run python benchmarks/server_speed.py --seconds 5 --rounds 3
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from server_apps import APPS, NAME, make_release, serve

SERVERS = ("ours", "bare", "fastapi", "pipeline", "empty", "mlflow")


def started(kind: str, folder: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    """Starts a server, in a process group of its own."""
    python = sys.executable
    ours = [python, "-m", "modelway.components.serve", "--public-key", str(folder / "key.pub"), "--port", str(port)]
    ours += ["--log-to", str(folder / "log"), "--drain-seconds", "0"]
    mlflow = [python, "-m", "mlflow", "models", "serve", "--model-uri", str(folder / "release" / "model")]
    mlflow += ["--env-manager", "local", "--workers", "1", "--port", str(port)]
    commands = {
        "ours": [*ours, "--release", str(folder / "release")],
        "pipeline": [*ours, "--release", str(folder / "pipeline")],
        "mlflow": mlflow,
        **{app: [python, __file__, "serve", app, str(folder), str(port)] for app in APPS},
    }
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1"}  # for all alike
    environment["PATH"] = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"  # mlflow starts uvicorn by its name
    with log.open("wb") as written:
        return subprocess.Popen(
            commands[kind], env=environment, stdout=written, stderr=subprocess.STDOUT, start_new_session=True
        )


def requests_of(kind: str, folder: Path) -> list[bytes]:
    """The requests, one row each."""
    rows = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    path = {"ours": f"/v1/models/{NAME}:predict", "pipeline": f"/v1/models/{NAME}:predict", "mlflow": "/invocations"}
    made = []
    for row in rows:
        body: Any = row
        if kind in {"ours", "pipeline"}:
            body = {"instances": [row]}
        elif kind == "mlflow":
            body = {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}
        content = json.dumps(body).encode()
        head = f"POST {path.get(kind, '/predict')} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        made.append(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    return made


class Asking(asyncio.Protocol):
    """One connection, which asks as soon as it is answered."""

    def __init__(self, requests: list[bytes], first: int) -> None:
        self.latencies: list[float] = []
        self.statuses: dict[int, int] = {}
        self.last = b""
        self.stopping = False
        self._requests, self._next = requests, first
        self._got, self._wanted, self._sent_at = b"", 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks for the first time."""
        self._transport: Any = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Takes an answer's bytes in, and asks again when it is whole."""
        self._got = self._got + data if self._got else data
        if not self._wanted:
            head = self._got.find(b"\r\n\r\n")
            if head < 0:
                return
            stated = self._got[:head].lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            self._wanted = head + 4 + int(stated)
        if len(self._got) < self._wanted:
            return
        self.latencies.append(time.perf_counter() - self._sent_at)
        status = int(self._got[9:12])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.last, self._got, self._wanted = self._got, b"", 0
        if self.stopping:
            self._transport.close()
        else:
            self._ask()

    def _ask(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._requests[self._next])
        self._next = (self._next + 1) % len(self._requests)


def load(kind: str, folder: str, port: str, connections: str, seconds: str) -> None:
    """Asks a server for some seconds; prints what came as JSON."""
    import uvloop

    async def asked() -> list[Asking]:
        loop, requests = asyncio.get_running_loop(), requests_of(kind, Path(folder))
        made = [Asking(requests, at * 61 % len(requests)) for at in range(int(connections))]
        for one in made:
            await loop.create_connection(lambda one=one: one, "127.0.0.1", int(port))
        await asyncio.sleep(float(seconds))
        for one in made:
            one.stopping = True
        await asyncio.sleep(0.5 if kind != "mlflow" else 3)
        return made

    made = uvloop.run(asked())
    latencies = sorted(one for asking in made for one in asking.latencies)
    bad = {code: count for asking in made for code, count in asking.statuses.items() if code != 200}
    if bad or not latencies:
        sys.exit(f"{kind} answered {bad or 'nothing'}: {made[0].last.decode()[:500]}")
    found = {
        "requests_per_second": len(latencies) / float(seconds),
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[min(len(latencies) - 1, int(0.99 * len(latencies)))],
    }
    print(json.dumps(found))


def first_answer(kind: str, folder: Path, port: int, began: float, process: subprocess.Popen[bytes]) -> float:
    """The seconds from starting to the first right answer."""
    request = requests_of(kind, folder)[0].replace(b"Host:", b"Connection: close\r\nHost:", 1)
    while time.perf_counter() - began < 120 and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as opened:
                opened.sendall(request)
                if b" 200 " in opened.recv(1000).split(b"\r\n", 1)[0]:
                    return time.perf_counter() - began
        except OSError:
            pass
        time.sleep(0.005)
    sys.exit(f"{kind} does not answer")


def memory_mib(group: int) -> float:
    """The greatest memory of the largest process in a group, in MiB."""
    found = [0.0]
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getpgid(int(status.parent.name)) == group:
                text = status.read_text(encoding="ascii", errors="replace")
                found.append(int(text.partition("VmHWM:")[2].split()[0]) / 1024)
        except (OSError, IndexError):
            continue
    return max(found)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a server and what it started."""
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def measured(kind: str, folder: Path, connections: int, seconds: float) -> dict[str, float]:
    """One server, started, asked and stopped."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log, began = folder / f"{kind}.log", time.perf_counter()
    process = started(kind, folder, port, log)
    try:
        cold = first_answer(kind, folder, port, began, process)
        command = [sys.executable, __file__, "load", kind, str(folder), str(port), str(connections)]
        subprocess.run([*command, "0.5"], check=True, capture_output=True)
        asked = subprocess.run([*command, str(seconds)], check=False, capture_output=True, text=True)
        if asked.returncode != 0:
            sys.exit(asked.stderr + log.read_text(encoding="utf-8", errors="replace")[-2000:])
        return {**json.loads(asked.stdout), "first_answer_s": cold, "memory_mib": memory_mib(process.pid)}
    finally:
        stop(process)


def main() -> None:
    """Measures all of them, in turn."""
    import argparse

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS))
    parser.add_argument("--folder", type=Path, help="keep the release here, and use the one that is there")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = asked.folder or Path(work)
        folder.mkdir(exist_ok=True)
        if not (folder / "rows.json").exists():
            make_release(folder)
        rounds: dict[str, list[dict[str, float]]] = {kind: [] for kind in asked.servers}
        for _ in range(asked.rounds):
            for kind in asked.servers:
                rounds[kind].append(measured(kind, folder, asked.connections, asked.seconds))
    found = {
        kind: {key: statistics.median(one[key] for one in alike) for key in alike[0]} for kind, alike in rounds.items()
    }
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    for kind, values in found.items():
        print(f"{kind:10}" + "".join(f"  {key} {value:10.2f}" for key, value in values.items()))
    for other in found:
        if "ours" in found and other != "ours":
            rate = found["ours"]["requests_per_second"] / found[other]["requests_per_second"]
            tail = found["ours"]["p99_ms"] / found[other]["p99_ms"]
            print(f"ours : {other:10} requests {rate:8.2f} x, p99 {tail:8.4f} x")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", *arguments]:
            serve(*arguments)
        case ["load", *arguments]:
            load(*arguments)
        case _:
            main()
