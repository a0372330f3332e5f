"""Binding and connecting, with one sentence for what can be wrong with an endpoint."""

from __future__ import annotations

import errno
from collections.abc import Callable

import zmq

_REASONS = {
    errno.EADDRINUSE: "another program holds this address; choose another port, or port 0 for any free one",
    errno.EADDRNOTAVAIL: "this machine has no such address; use 127.0.0.1, or * for all of its addresses",
    errno.ENODEV: "this machine has no such address; use 127.0.0.1, or * for all of its addresses",
    errno.ENOENT: "the folder of this path does not exist",
    errno.EACCES: "the system does not allow it; ports below 1024 need privileges, a path needs write permission",
    errno.EINVAL: "it is no endpoint; write it like tcp://127.0.0.1:5555 or ipc:///run/people.sock",
    errno.EPROTONOSUPPORT: "it is no endpoint; write it like tcp://127.0.0.1:5555 or ipc:///run/people.sock",
}


class EndpointError(OSError):
    """An endpoint that cannot be bound or connected; the sentence says why and what to do."""


def attach(action: str, attach_socket: Callable[[str], object], endpoint: str) -> None:
    """Bind or connect by `attach_socket`; `action` names it in the error, as in "publish at".

    Raises:
        EndpointError: it did not work.
    """
    port = endpoint.rpartition(":")[2]
    if endpoint.startswith("tcp:") and port.isdecimal() and int(port) > 65_535:  # ZeroMQ would take it modulo 65536
        raise EndpointError(f"cannot {action} {endpoint}: ports end at 65535")
    try:
        attach_socket(endpoint)
    except zmq.ZMQError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror)
        raise EndpointError(f"cannot {action} {endpoint}: {reason}") from None
