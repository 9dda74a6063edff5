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


def start_server(kind: str, folder: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
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
    with log.open("wb") as output:
        return subprocess.Popen(
            commands[kind], env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def requests_of(kind: str, folder: Path) -> list[bytes]:
    """The requests, one row each."""
    rows = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    path = {"ours": f"/v1/models/{NAME}:predict", "pipeline": f"/v1/models/{NAME}:predict", "mlflow": "/invocations"}
    requests = []
    for row in rows:
        body: Any = row
        if kind in {"ours", "pipeline"}:
            body = {"instances": [row]}
        elif kind == "mlflow":
            body = {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}
        content = json.dumps(body).encode()
        head = f"POST {path.get(kind, '/predict')} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        requests.append(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    return requests


class Client(asyncio.Protocol):
    """A connection that sends the next request as soon as the last is answered."""

    def __init__(self, requests: list[bytes], first: int) -> None:
        self.latencies: list[float] = []
        self.statuses: dict[int, int] = {}
        self.last = b""
        self.stopping = False
        self._requests, self._next = requests, first
        self._received, self._size, self._sent_at = b"", 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the first request."""
        self._transport: Any = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Receives a response, and sends the next request once it is complete."""
        self._received = self._received + data if self._received else data
        if not self._size:
            head = self._received.find(b"\r\n\r\n")
            if head < 0:
                return
            length = self._received[:head].lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
            self._size = head + 4 + int(length)
        if len(self._received) < self._size:
            return
        self.latencies.append(time.perf_counter() - self._sent_at)
        status = int(self._received[9:12])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.last, self._received, self._size = self._received, b"", 0
        if self.stopping:
            self._transport.close()
        else:
            self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._requests[self._next])
        self._next = (self._next + 1) % len(self._requests)


def load(kind: str, folder: str, port: str, connections: str, seconds: str) -> None:
    """Sends a server requests for some seconds; prints the figures as JSON."""
    import uvloop

    async def send_requests() -> list[Client]:
        loop, requests = asyncio.get_running_loop(), requests_of(kind, Path(folder))
        clients = [Client(requests, at * 61 % len(requests)) for at in range(int(connections))]
        for client in clients:
            await loop.create_connection(lambda client=client: client, "127.0.0.1", int(port))
        await asyncio.sleep(float(seconds))
        for client in clients:
            client.stopping = True
        await asyncio.sleep(0.5 if kind != "mlflow" else 3)
        return clients

    clients = uvloop.run(send_requests())
    latencies = sorted(latency for client in clients for latency in client.latencies)
    bad = {code: count for client in clients for code, count in client.statuses.items() if code != 200}
    if bad or not latencies:
        sys.exit(f"{kind} answered {bad or 'nothing'}: {clients[0].last.decode()[:500]}")
    results = {
        "requests_per_second": len(latencies) / float(seconds),
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[min(len(latencies) - 1, int(0.99 * len(latencies)))],
    }
    print(json.dumps(results))


def first_answer(kind: str, folder: Path, port: int, began: float, process: subprocess.Popen[bytes]) -> float:
    """The seconds from starting to the first right answer."""
    request = requests_of(kind, folder)[0].replace(b"Host:", b"Connection: close\r\nHost:", 1)
    while time.perf_counter() - began < 120 and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                connection.sendall(request)
                if b" 200 " in connection.recv(1000).split(b"\r\n", 1)[0]:
                    return time.perf_counter() - began
        except OSError:
            pass
        time.sleep(0.005)
    sys.exit(f"{kind} does not answer")


def memory_mib(group: int) -> float:
    """The greatest memory of the largest process in a group, in MiB."""
    peaks = [0.0]
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getpgid(int(status.parent.name)) == group:
                text = status.read_text(encoding="ascii", errors="replace")
                peaks.append(int(text.partition("VmHWM:")[2].split()[0]) / 1024)
        except (OSError, IndexError):
            continue
    return max(peaks)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a server and what it started."""
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def measure(kind: str, folder: Path, connections: int, seconds: float) -> dict[str, float]:
    """Starts, measures and stops one server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log, began = folder / f"{kind}.log", time.perf_counter()
    process = start_server(kind, folder, port, log)
    try:
        cold = first_answer(kind, folder, port, began, process)
        command = [sys.executable, __file__, "load", kind, str(folder), str(port), str(connections)]
        subprocess.run([*command, "0.5"], check=True, capture_output=True)
        load_run = subprocess.run([*command, str(seconds)], check=False, capture_output=True, text=True)
        if load_run.returncode != 0:
            sys.exit(load_run.stderr + log.read_text(encoding="utf-8", errors="replace")[-2000:])
        return {**json.loads(load_run.stdout), "first_answer_s": cold, "memory_mib": memory_mib(process.pid)}
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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        folder = options.folder or Path(work)
        folder.mkdir(exist_ok=True)
        if not (folder / "rows.json").exists():
            make_release(folder)
        rounds: dict[str, list[dict[str, float]]] = {kind: [] for kind in options.servers}
        for _ in range(options.rounds):
            for kind in options.servers:
                rounds[kind].append(measure(kind, folder, options.connections, options.seconds))
    results = {
        kind: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for kind, runs in rounds.items()
    }
    if options.json:
        print(json.dumps(results, indent=2))
        return
    for kind, values in results.items():
        print(f"{kind:10}" + "".join(f"  {key} {value:10.2f}" for key, value in values.items()))
    for other_kind in results:
        if "ours" in results and other_kind != "ours":
            rate = results["ours"]["requests_per_second"] / results[other_kind]["requests_per_second"]
            tail = results["ours"]["p99_ms"] / results[other_kind]["p99_ms"]
            print(f"ours : {other_kind:10} requests {rate:8.2f} x, p99 {tail:8.4f} x")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", *arguments]:
            serve(*arguments)
        case ["load", *arguments]:
            load(*arguments)
        case _:
            main()
