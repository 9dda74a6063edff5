"""The limits on requests and connections."""

from __future__ import annotations

import logging
import resource
from dataclasses import dataclass

log = logging.getLogger(__name__)

_FILES_PER_CONNECTION = 2  # one that gave way is open for a moment
_OTHER_FILES = 64  # the model, the log, the listening socket, the libraries' own


@dataclass(frozen=True)
class Limits:
    """The limits on each request and connection, and on all of them in sum.

    Attributes:
        request_bytes: The largest size of a request's body.
        requests: How many predictions may be in progress or waiting; further ones are answered 503. A request counts
            once its body has arrived.
        values: How many values a request may have: its rows times the columns and outputs of the model.
        head_bytes: The largest size of a request's head, all headers together.
        target_bytes: The largest size of its path and query.
        headers: How many headers it may have.
        pipelined: How many requests of one connection may wait for the one before.
        read_seconds: How long a request may take to arrive, from the connection or its first byte to its last.
        write_seconds: How long a client may take to receive a response.
        idle_seconds: How long a connection may stay without a request; longer than load balancers keep idle ones, so
            that they close first.
        connections: How many connections may be open; the oldest without a complete request gives way to a new one.
        buffered_bytes: How much memory requests and responses on their way may take; the oldest one that is incomplete
            gives way to a new one.
    """

    request_bytes: int = 4 * 1024 * 1024
    requests: int = 128
    values: int = 500_000
    head_bytes: int = 32 * 1024
    target_bytes: int = 8 * 1024
    headers: int = 100
    pipelined: int = 8
    read_seconds: float = 10.0
    write_seconds: float = 30.0
    idle_seconds: float = 75.0
    connections: int = 1000
    buffered_bytes: int = 16 * 1024 * 1024


def allowed_connections(connections: int) -> int:
    """Raises the process's limit of open files where it is too low; returns how many connections it then allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _FILES_PER_CONNECTION * connections + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return connections
    limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    allowed = (limit - _OTHER_FILES) // _FILES_PER_CONNECTION
    if allowed < connections:
        log.warning("the limit of open files, %d, allows %d connections instead of %d", hard, allowed, connections)
    return allowed
