"""Who may use the web server: everybody on this machine, or whoever shows the token."""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

OPEN = ("/healthz", "/readyz")
"""Paths for everybody: they tell nothing but that it works, to programs that hold no token."""

HEADERS = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),  # the token may be in the address
    (b"x-content-type-options", b"nosniff"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
        b"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)


class Guard:
    """Middleware that lets a request through or answers 401 or 403.

    A page of another site, opened in a browser of this machine, could speak to a server on loopback too: by its name
    under another address (DNS rebinding), which the header Host shows, or directly, which the header Origin shows.

    Args:
        app: what is guarded.
        token: what a request must show, as `Authorization: Bearer TOKEN` or `?token=TOKEN`; None: it must be meant for
            this machine.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Request(scope))

        async def send_with_headers(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", [])
                message = {**message, "headers": [*headers, *HEADERS]}  # type: ignore[misc]
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_headers)  # type: ignore[arg-type]

    def _refusal(self, request: Request) -> PlainTextResponse | None:
        if request.url.path in OPEN:
            return None
        if self._token is None:
            if not is_this_machine(request.url.hostname or ""):
                return PlainTextResponse("this page is for this machine alone: use 127.0.0.1\n", 403)
        elif not self._shows_token(request):
            return PlainTextResponse("a token is needed: open the address that was printed at the start\n", 401)
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            return PlainTextResponse("another page may not do this\n", 403)
        return None

    def _shows_token(self, request: Request) -> bool:
        header = request.headers.get("authorization", "")
        shown = header[len("Bearer ") :] if header.startswith("Bearer ") else request.query_params.get("token", "")
        return hmac.compare_digest(shown.encode(), (self._token or "").encode())


def is_this_machine(host: str) -> bool:
    """Whether a host name or address is that of the loopback interface."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
