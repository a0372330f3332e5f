"""Commands for a run: a ZeroMQ REP socket that takes them, and the client that sends them; see `docs/operating.md`.

A request is one MessagePack map, such as `{"command": "add", "stream": {"source": "lobby.mp4"}}`; the answer to it is
`{"ok": true, ...}` or `{"ok": false, "error": "one sentence"}`, with `"options": true` where the options are wrong.
Whatever else comes is answered with an error.
"""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Any, Protocol, Self

import msgpack
import zmq

from stream.config import ConfigError, StreamConfig
from stream.errors import NoAnswerError, StreamError, StreamOptionsError
from stream.wire.security import LOCAL, Credentials, Guard, Security, connect

log = logging.getLogger(__name__)

VERSION = (1, 1)
"""Major and minor of requests and answers; a request that names another major is refused."""

LARGEST = 1 << 16
"""Bytes of a request at most; who sends more is disconnected."""

TICK = 0.1
"""Seconds after which the server looks whether it is to stop."""

REMOVAL = 5.0
"""Seconds that a removed stream's source gets to end, before the answer says that it is still there."""


class Controllable(Protocol):
    """What commands act upon; a `Pipeline` is one. Its methods raise `StreamError`."""

    def reports(self) -> list[dict[str, Any]]:
        """The figures of every stream."""

    def add_stream(self, stream: StreamConfig, /) -> None:
        """Watch one more stream."""

    def remove_stream(self, stream: str, timeout: float, /) -> None:
        """Watch a stream no longer."""

    def change_stream(self, stream: str, /, **options: object) -> None:
        """Give a stream other options; raises `ConfigError` where they are wrong."""

    def pause(self, stream: str, /) -> None:
        """Let no frame of a stream in."""

    def resume(self, stream: str, /) -> None:
        """Go on after `pause`."""


class ControlServer:
    """Takes commands at an address, in a thread between `start` and `close`.

    Args:
        endpoint: where to listen; port 0 or `*` takes a free one.
        target: what the commands act upon.
        security: who may connect.

    Raises:
        EndpointError: the address is taken, not ours, or no endpoint at all.
        SecurityError: other machines would reach it, and nothing guards it.

    Attributes:
        endpoint: where it really listens.
    """

    def __init__(self, endpoint: str, target: Controllable, security: Security = LOCAL) -> None:
        self._target = target
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REP)
        self._socket.set(zmq.LINGER, 500)
        self._socket.set(zmq.SNDTIMEO, 1000)
        self._socket.set(zmq.MAXMSGSIZE, LARGEST)
        self._guard: Guard | None = None
        try:
            self._guard = Guard(self._context, security)
            self._guard.bind("take commands at", self._socket, endpoint, commands=True)
        except Exception:
            self.close()
            raise
        self.endpoint = self._socket.get_string(zmq.LAST_ENDPOINT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Take commands from now on."""
        self._thread.start()

    def close(self) -> None:
        """Answer the command under way, then stop listening. A second call does nothing."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2 * REMOVAL)
        self._socket.close()
        if self._guard is not None:
            self._guard.close()
        self._context.term()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            if not self._socket.poll(round(TICK * 1000)):
                continue
            try:
                # Malformed envelopes make the poll say yes and are dropped by ZeroMQ: a blocking receive would hang.
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                continue
            try:
                self._socket.send(msgpack.packb(answer(self._target, parts)))
            except zmq.Again:
                log.warning("the answer to a command could not be sent: its sender does not read")


def answer(target: Controllable, parts: list[bytes]) -> dict[str, Any]:
    """Do what a request says; `parts` are the parts of its message. Whatever they are, there is an answer."""
    try:
        return {"v": list(VERSION), "ok": True, **_obey(target, _read(parts))}
    except StreamError as error:
        return {"v": list(VERSION), "ok": False, "error": str(error)}
    except ConfigError as error:
        return {"v": list(VERSION), "ok": False, "options": True, "error": "; ".join(map(str, error.problems))}


class ControlClient:
    """Sends commands to a run.

    Args:
        endpoint: where it takes them.
        timeout: seconds that an answer may take.
        credentials: for a run whose sockets are encrypted.

    Raises:
        EndpointError: the endpoint is not one.
    """

    def __init__(self, endpoint: str, timeout: float = 2 * REMOVAL, credentials: Credentials | None = None) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REQ)
        self._socket.set(zmq.LINGER, 0)
        try:
            connect("send commands to", self._socket, endpoint, credentials)
        except Exception:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, command: str, **fields: object) -> dict[str, Any]:
        """Send one command; returns the answer's fields.

        Raises:
            StreamError: what the run answers when it cannot do it; `StreamOptionsError` where the options are wrong.
            NoAnswerError: no answer; the client cannot be used again.
        """
        self._socket.send(msgpack.packb({"v": list(VERSION), "command": command, **fields}))
        if not self._socket.poll(round(self._timeout * 1000)):
            raise NoAnswerError(
                f"no answer from {self._endpoint} within {self._timeout:g} s: does a run take commands there, with the "
                "same keys?"
            )
        reply: dict[str, Any] = msgpack.unpackb(self._socket.recv())
        if not reply["ok"]:
            raise (StreamOptionsError if reply.get("options") else StreamError)(reply["error"])
        return reply

    def close(self) -> None:
        """Disconnect. A second call does nothing."""
        self._socket.close()
        self._context.term()


def _read(parts: list[bytes]) -> dict[str, Any]:
    """The request in a message. Raises `StreamError` where it is none."""
    try:
        (body,) = parts
        request = msgpack.unpackb(body)
    except (ValueError, msgpack.UnpackException):
        raise StreamError("a request is one MessagePack map in a message of one part") from None
    if not isinstance(request, dict):
        raise StreamError("a request is a MessagePack map, such as {'command': 'list'}")
    version = request.get("v", list(VERSION))
    if not (isinstance(version, list) and version and version[0] == VERSION[0]):
        raise StreamError(f"this run understands version {VERSION[0]} of the commands alone")
    return request


def _obey(target: Controllable, request: dict[str, Any]) -> dict[str, Any]:
    match request.get("command"):
        case "list":
            return {"streams": target.reports()}
        case "add":
            return {"id": add(target, request.get("stream"))}
        case "remove":
            target.remove_stream(_id(request), REMOVAL)
        case "change":
            target.change_stream(_id(request), **_options(request))
        case "pause":
            target.pause(_id(request))
        case "resume":
            target.resume(_id(request))
        case _:
            raise StreamError("the command is none of list, add, remove, change, pause, resume")
    return {"id": _id(request)}


def _id(request: dict[str, Any]) -> str:
    stream = request.get("id")
    if not isinstance(stream, str):
        raise StreamError("the request does not say which stream: `id` must be its name")
    return stream


def _options(request: dict[str, Any]) -> dict[str, Any]:
    options = request.get("options")
    if not (isinstance(options, dict) and options and all(isinstance(key, str) for key in options)):
        raise StreamError("the request does not say what to change: `options` must be a map such as {'fps': 5}")
    return options


def add(target: Controllable, options: object) -> str:
    """Add the stream that `options` describe; returns its id.

    Raises:
        ConfigError: the options are not those of a stream.
        StreamError: it cannot be added.
    """
    from stream.settings import load_stream  # clients do without

    stream = load_stream(options, [report["id"] for report in target.reports()])
    target.add_stream(stream)
    return stream.id
