"""Files over HTTP: read like a local one, continued where the connection or an earlier attempt broke off."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import urlsplit

import requests
import urllib3

logger = logging.getLogger(__name__)

TIMEOUT = (5.0, 30.0)
"""Seconds to wait for a connection, and for the next bytes on it."""

CHUNK = 1 << 18
_ATTEMPTS = 3
_PAUSE = 0.5

Report = Callable[[int, int | None], None]
"""Told of progress: bytes so far, and of how many in all (None where the server does not say)."""


class SourceError(Exception):
    """One source cannot deliver; the message says why in a few words."""


class RangesRefusedError(SourceError):
    """The server sends only whole files."""


class DamagedError(SourceError):
    """What came is not what it should be, and is of no use to a later attempt."""


class HttpFile:
    """The bytes `start` .. `stop` (exclusive; None = the end) of a file on a server, read in order.

    A connection that breaks is opened again at the same byte, three times without progress before it counts as failed.

    Attributes:
        position: the next byte to be read.
        size: where the bytes end, None where the server does not say.

    Raises:
        RangesRefusedError: the server cannot start at that byte.
        SourceError: the server cannot be reached, refuses, or breaks off.
    """

    def __init__(self, session: requests.Session, url: str, start: int = 0, stop: int | None = None) -> None:
        self.position = start
        self.size = stop
        self._session, self._url, self._stop = session, url, stop
        self._name = PurePosixPath(urlsplit(url).path).name
        self._response = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._response.close()

    def read(self, size: int = CHUNK) -> bytes:
        """Up to `size` bytes; none at the end."""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._response.close()
                time.sleep(_PAUSE * (attempt - 1))
                self._response = self._connect()
            try:
                data: bytes = self._response.raw.read(size)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                logger.info("%s broke off at byte %d (%s)", self._name, self.position, type(error).__name__)
            else:
                self.position += len(data)
                return data
        raise SourceError(f"the connection breaks off at byte {self.position}")

    def _connect(self) -> requests.Response:
        headers = {"Accept-Encoding": "identity"}
        partial = self.position > 0 or self._stop is not None
        if partial:
            headers["Range"] = f"bytes={self.position}-{'' if self._stop is None else self._stop - 1}"
        try:
            response = self._session.get(self._url, headers=headers, stream=True, timeout=TIMEOUT)
            whole = not response.headers.get("Content-Range", "").startswith(f"bytes {self.position}-")
            if partial and whole and (response.ok or response.status_code == requests.codes.range_not_satisfiable):
                response.close()
                raise RangesRefusedError(f"the server cannot start at byte {self.position}")
            response.raise_for_status()
        except requests.RequestException as error:
            raise SourceError(reason(error)) from error
        if self._stop is None and "Content-Length" in response.headers:
            self.size = self.position + int(response.headers["Content-Length"])
        return response


def download(
    session: requests.Session, url: str, part: Path, report: Report, start: int = 0, stop: int | None = None
) -> None:
    """Bring the bytes `start` .. `stop` (exclusive; None = the end) of `url` into `part`, after what it holds of them.

    Raises:
        RangesRefusedError: a part was asked for, and the server sends only whole files.
        SourceError: the server cannot be reached, refuses, or breaks off; `part` keeps what came.
        OSError: `part` cannot be written.
    """
    held = part.stat().st_size if part.exists() else 0
    if stop is not None and held >= stop - start:
        return
    try:
        _append(HttpFile(session, url, start + held, stop), part, report, start)
    except RangesRefusedError:
        if start or stop:
            raise
        logger.info("%s cannot be continued; starting again", part)
        part.unlink(missing_ok=True)
        _append(HttpFile(session, url), part, report, start)


def copy(source: HttpFile, target: BinaryIO, report: Report, start: int = 0) -> None:
    """Write all that is left of `source` to `target`; `start` is the byte of the server's file that counts as none."""
    while data := source.read():
        target.write(data)
        report(source.position - start, None if source.size is None else source.size - start)


def reason(error: Exception) -> str:
    """Why a request failed, in a few words and without the address, which may hold a password."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not let it through"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no answer in {TIMEOUT[0]:.0f} s"
    if isinstance(error, requests.exceptions.Timeout):
        return f"silent for {TIMEOUT[1]:.0f} s"
    causes = str(error)
    if "NameResolution" in causes:
        return "its name cannot be resolved"
    if "Connection refused" in causes:
        return "connection refused"
    return "cannot be reached" if isinstance(error, requests.ConnectionError) else type(error).__name__


def _append(source: HttpFile, part: Path, report: Report, start: int) -> None:
    with source, part.open("ab") as target:
        copy(source, target, report, start)
