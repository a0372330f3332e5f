"""A web server on the loopback interface that can misbehave, and archives to serve."""

from __future__ import annotations

import io
import tarfile
import threading
import time
import zipfile
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass
class Page:
    """One file, and how it is served.

    Attributes:
        ranges: whether requests for a part are answered with that part.
        breaks: after how many bytes the next connections die, one each.
        status: answered instead of the file.
        delay: seconds before the answer.
    """

    content: bytes
    ranges: bool = True
    breaks: deque[int] = field(default_factory=deque)
    status: int | None = None
    delay: float = 0.0


class Server:
    """Serves `pages` (path -> Page); `asked` has the (path, Range header) of all requests, `sent` the bytes by path."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.sent: dict[str, int] = {}
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop; a second time does nothing."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join(timeout=5)
            self._http.server_close()

    def serve(self, path: str, page: Page) -> str:
        """Serve `page` at `path`; returns the address."""
        self.pages[path] = page
        return f"{self.url}{path}"

    def index(self, project: str, archive: str, sha256: str, page: Page) -> None:
        """Serve a package index at /simple/ whose `project` has this one archive."""
        self.serve(f"/files/{archive}", page)
        link = f'<html><body><a href="/files/{archive}#sha256={sha256}">{archive}</a></body></html>'
        self.serve(f"/simple/{project}/", Page(link.encode()))


class _Handler(BaseHTTPRequestHandler):
    owner: Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        page = self.owner.pages.get(path)
        self.owner.asked.append((path, self.headers.get("Range")))
        if page is None or page.status is not None:
            self.send_error(404 if page is None or page.status is None else page.status)
            return
        time.sleep(page.delay)
        start, stop = self._span(page)
        if start >= len(page.content) > 0:
            self.send_error(416)
            return
        body = page.content[start:stop]
        self.send_response(206 if (start, stop) != (0, len(page.content)) else 200)
        if page.ranges and self.headers.get("Range"):
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(page.content)}")
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if page.breaks:
            body = body[: page.breaks.popleft()]
            self.close_connection = True
        self._send(path, body)

    def _span(self, page: Page) -> tuple[int, int]:
        size = len(page.content)
        wanted = self.headers.get("Range")
        if wanted is None or not page.ranges:
            return 0, size
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        if not first:
            return max(0, size - int(last)), size
        return int(first), min(size, int(last) + 1) if last else size

    def _send(self, path: str, body: bytes) -> None:
        try:
            for at in range(0, len(body), 1 << 14):
                self.wfile.write(body[at : at + (1 << 14)])
                self.owner.sent[path] = self.owner.sent.get(path, 0) + len(body[at : at + (1 << 14)])
        except OSError:
            self.close_connection = True  # the client has what it wanted

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def wheel(project: str, members: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A wheel of `project` 1.0 that pip accepts."""
    info = f"{project}-1.0.dist-info"
    described = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in (members | described).items():
            archive.writestr(name, content)
    return file.getvalue()


def tar_gz(members: dict[str, bytes]) -> bytes:
    """A `.tar.gz` of `members`, in their order."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()
