"""What the web server answers: the page, its figures and pictures, and what other programs ask."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from functools import partial
from importlib import resources
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from stream.config import ConfigError
from stream.errors import StreamError
from stream.settings import load_stream
from stream.web.guard import Guard
from stream.web.live import Live, Shot
from stream.web.observed import Observed
from stream.web.prometheus import exposition

REMOVAL = 5.0
"""Seconds that a removed stream's source gets to end, before the answer says that it is still there."""

LARGEST = 1 << 16
"""Bytes of a request's body at most."""

WIDTHS = (160, 1920)
"""Narrowest and widest picture that may be asked for, pixels."""

AT_ONCE = 64
"""Streams of which one request may ask for pictures."""

PATIENCE = 1.0
"""Seconds that a request for pictures waits for a new one."""


def build_app(target: Observed, live: Live, fps: float, token: str | None) -> Starlette:
    """The application.

    Args:
        target: what is shown and changed.
        live: where the pictures come from.
        fps: pictures per second that one viewer gets of a stream at most.
        token: what requests must show, or None.
    """
    routes = [
        Route("/", _page),
        Route("/healthz", partial(_health, target)),
        Route("/readyz", partial(_ready, target)),
        Route("/metrics", partial(_metrics, target)),
        Route("/api/streams", partial(_list, target), methods=["GET"]),
        Route("/api/streams", partial(_add, target), methods=["POST"]),
        Route("/api/streams/{id}", partial(_remove, target), methods=["DELETE"]),
        Route("/api/streams/{id}", partial(_change, target), methods=["PATCH"]),
        Route("/api/streams/{id}/{command:str}", partial(_pause, target), methods=["POST"]),
        Route("/api/pictures", partial(_pictures, target, live, fps), methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, token=token)])


async def _page(request: Request) -> Response:  # noqa: ARG001
    return HTMLResponse(resources.files("stream.web").joinpath("page.html").read_text("utf-8"))


async def _health(target: Observed, request: Request) -> Response:  # noqa: ARG001
    return JSONResponse({"ok": not target.failed}, 503 if target.failed else 200)


async def _ready(target: Observed, request: Request) -> Response:  # noqa: ARG001
    states = [state.health for state in target.streams.values()]
    ready = not target.failed and (not states or any(state in ("running", "paused", "ended") for state in states))
    return JSONResponse({"ready": ready}, 200 if ready else 503)


def _metrics(target: Observed, request: Request) -> Response:  # noqa: ARG001
    return Response(exposition(target), media_type=CONTENT_TYPE_LATEST)


def _list(target: Observed, request: Request) -> Response:  # noqa: ARG001
    return JSONResponse({"streams": target.reports()})


async def _add(target: Observed, request: Request) -> Response:
    options = await _body(request)

    def add() -> dict[str, Any]:
        stream = load_stream(options, list(target.streams))
        target.add_stream(stream)
        return {"id": stream.id}

    return await run_in_threadpool(_done, add)


def _remove(target: Observed, request: Request) -> Response:
    return _done(lambda: target.remove_stream(request.path_params["id"], REMOVAL))


async def _change(target: Observed, request: Request) -> Response:
    options = await _body(request)
    if not (isinstance(options, dict) and options):
        return JSONResponse({"error": 'a change is a JSON object of options, such as {"fps": 5}'}, 400)
    return await run_in_threadpool(_done, lambda: target.change_stream(request.path_params["id"], **options))


def _pause(target: Observed, request: Request) -> Response:
    commands = {"pause": target.pause, "resume": target.resume}
    command = commands.get(request.path_params["command"])
    if command is None:
        return JSONResponse({"error": "the command is none of pause, resume"}, 404)
    return _done(lambda: command(request.path_params["id"]))


def _done(act: Callable[[], dict[str, Any] | None]) -> Response:
    try:
        return JSONResponse(act() or {})
    except StreamError as error:
        return JSONResponse({"error": str(error)}, 409)
    except ConfigError as error:
        return JSONResponse({"error": "; ".join(map(str, error.problems))}, 400)


async def _pictures(target: Observed, live: Live, fps: float, request: Request) -> Response:
    """The newest pictures of the streams that a viewer sees, of those that are newer than what it has.

    The body is `{"width": 480, "seen": {"lobby": [epoch, seq] or null}}`. The answer is, for each new picture, the
    length of its head (4 bytes, big-endian), its head `{"stream", "epoch", "seq", "bytes"}` and the JPEG itself. A
    viewer asks again when it has drawn them, so that a slow one skips pictures and none is ever late.
    """
    body = await _body(request)
    seen = body.get("seen") if isinstance(body, dict) else None
    width = body.get("width") if isinstance(body, dict) else None
    if not isinstance(seen, dict) or len(seen) > AT_ONCE or not isinstance(width, int):
        return JSONResponse({"error": "a request says `width`, and `seen` of at most 64 streams"}, 400)
    for _ in range(max(1, round(PATIENCE * fps))):
        await asyncio.sleep(1 / fps)
        looked = {stream: live.look(stream) for stream in seen if stream in target.streams}
        shots = [shot for stream, shot in looked.items() if shot is not None and _is_new(shot, seen[stream])]
        if shots:
            break
    pictures = await run_in_threadpool(_encode, live, shots, min(max(width, WIDTHS[0]), WIDTHS[1]))
    return Response(pictures, media_type="application/octet-stream")


def _is_new(shot: Shot, last: object) -> bool:
    return last != [shot.result.epoch, shot.result.seq]


def _encode(live: Live, shots: list[Shot], width: int) -> bytes:
    parts = []
    for shot in shots:
        picture = live.picture(shot, width)
        result = shot.result
        head = {"stream": result.stream, "epoch": result.epoch, "seq": result.seq, "bytes": len(picture)}
        text = json.dumps(head).encode()
        parts += [struct.pack(">I", len(text)), text, picture]
    return b"".join(parts)


async def _body(request: Request) -> Any:
    """The JSON of a request; None where it has none, or too much of it."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
