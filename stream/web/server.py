"""The web server: an address, a thread, and who may use it."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn

from stream.web.app import build_app
from stream.web.guard import is_this_machine
from stream.web.live import Live
from stream.web.observed import Observed

log = logging.getLogger(__name__)

TOKEN = "PEOPLESTREAM_TOKEN"
"""The environment variable that gives the token; needed where it shall be the same after a restart."""

CLOSING = 2
"""Seconds that requests under way get to end when the server is closed."""

VIEWERS = 100
"""Requests at a time; more are told to come back later."""


class AddressError(OSError):
    """The web server cannot listen there; the sentence says why and what to do."""


class WebServer:
    """Serves a pipeline's page and figures, in a thread between `start` and `close`.

    Whoever is not on this machine must show a token. Where the address is not one of loopback, one is made up, unless
    the environment variable `PEOPLESTREAM_TOKEN` gives it; there it counts on loopback as well.

    Args:
        address: HOST:PORT; port 0 takes a free one.
        target: what is shown and changed.
        live: the sink from which the pictures come.
        fps: pictures per second that one viewer gets of a stream at most.

    Raises:
        AddressError: it cannot listen there.

    Attributes:
        url: what a person opens, with the token where one is needed.
    """

    def __init__(self, address: str, target: Observed, live: Live, fps: float) -> None:
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        self._socket = _bind(host, int(port), address)
        token = os.environ.get(TOKEN) or (None if is_this_machine(host) else secrets.token_urlsafe(16))
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}/" + (f"?token={token}" if token else "")
        self._server = uvicorn.Server(
            uvicorn.Config(
                build_app(target, live, fps, token),
                loop="asyncio",
                lifespan="off",
                ws="none",
                log_config=None,  # the logging of this process is not ours to change
                access_log=False,  # it would write down the token
                server_header=False,
                limit_concurrency=VIEWERS,
                timeout_graceful_shutdown=CLOSING,
            )
        )
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Answer requests from now on."""
        self._socket.listen()  # at once: who asks while the thread begins waits, and is not refused
        self._thread.start()

    def close(self) -> None:
        """Finish the requests under way, then stop listening. A second call does nothing."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(2 * CLOSING + 1)
        self._socket.close()

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))


def _bind(host: str, port: int, address: str) -> socket.socket:
    try:
        family, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(family)
    except OSError as error:
        raise AddressError(f"cannot show the page at {address}: {error.args[-1]}") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(where)
    except OSError as error:
        bound.close()
        raise AddressError(
            f"cannot show the page at {address}: {error.strerror}; choose another port, or port 0 for any free one"
        ) from None
    return bound
