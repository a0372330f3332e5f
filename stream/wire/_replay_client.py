"""Fetches what a subscriber missed, one request at a time, without ever waiting."""

from __future__ import annotations

import logging
import time

import zmq

from stream.types import StreamInfo
from stream.wire._answers import Request, pack_request, read_answer
from stream.wire._endpoint import EndpointError
from stream.wire._reception import Reception
from stream.wire.schema import MAX_BYTES, SchemaError
from stream.wire.security import Credentials, connect

_log = logging.getLogger(__name__)

_ANSWER_SECONDS = 1.0
"""How long an answer may take before the request is sent again."""

_ATTEMPTS = 3
"""How often a request is sent: an answer may also seem late because this program was stopped meanwhile."""

_REST = 5.0
"""Seconds without requests to a socket after one that nobody answered there."""


class ReplayClient:
    """Asks a publisher's replay socket for the gaps of a reception.

    Args:
        context: of the subscriber. credentials: its keys, or None.
        endpoint: of the publisher.
        where: the replay socket, None to believe what the publisher says of it.

    Attributes:
        socket: where an answer is awaited, or None.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        credentials: Credentials | None,
        endpoint: str,
        where: str | None,
    ) -> None:
        self.socket: zmq.Socket[bytes] | None = None
        self._context = context
        self._credentials = credentials
        self._endpoint = endpoint
        self._where = where
        self._asked_at = 0.0
        self._attempts = 0
        self._mute = ""
        self._rests_until = 0.0

    def step(self, reception: Reception) -> bool:
        """Go on with the first gap of `reception`; False where the answer must arrive first."""
        request = reception.gaps[0].request
        where = self._where or _told(self._endpoint, reception.infos.get(request.stream))
        if not where or (where == self._mute and time.monotonic() < self._rests_until):
            reception.give_up()
            return True
        try:
            if self.socket is None:
                self.socket = self._ask(request, where)
            parts = self.socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return self._later(reception, where)
        except EndpointError as error:
            self._refuse(reception, SchemaError(str(error)))
            return True
        self.close()
        self._attempts = 0
        try:
            reception.fill(read_answer(request, parts))
        except SchemaError as error:
            self._refuse(reception, error)
        return True

    def close(self) -> None:
        """Wait for no answer any more."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def _ask(self, request: Request, where: str) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.REQ)
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.MAXMSGSIZE, MAX_BYTES)
        try:
            connect("fetch missed frames from", socket, where, self._credentials)
            socket.send(pack_request(request), zmq.NOBLOCK)
        except BaseException:
            socket.close()
            raise
        self._asked_at = time.monotonic()
        return socket

    def _later(self, reception: Reception, where: str) -> bool:
        """Nothing has come: wait on, ask again, or give up."""
        if time.monotonic() - self._asked_at < _ANSWER_SECONDS:
            return False
        self.close()
        self._attempts += 1
        if self._attempts == _ATTEMPTS:
            _log.warning("nobody at %s replays missed frames: they are lost", where)
            self._attempts = 0
            self._mute, self._rests_until = where, time.monotonic() + _REST
            reception.give_up()
        return True

    def _refuse(self, reception: Reception, error: SchemaError) -> None:
        reception.reject(error)
        reception.give_up()


def _told(endpoint: str, info: StreamInfo | None) -> str:
    """The replay socket that a publisher tells of: on its own host, or on this machine; "" for none."""
    replay = "" if info is None else info.replay
    transport, _, address = replay.partition("://")
    if not endpoint.startswith(f"{transport}://"):
        return ""
    return f"{endpoint.rpartition(':')[0]}:{address[2:]}" if address.startswith("*:") else replay * (transport == "ipc")
