"""Files of the zoo on this machine: fetched once, verified at every use, shared between processes."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import filelock
import platformdirs
import requests

from models.errors import WeightsError
from models.transfer import DamagedError, Report, SourceError, download
from models.zoo import Entry, IndexSource, UrlSource

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "PEOPLESTREAM_CACHE"
"""Environment variable that moves the cache."""

State = Literal["present", "absent", "corrupt", "unpublished", "needless"]
"""Of a file: "unpublished" where nobody is known to have it and the cache has it not; "needless" where none exists."""


@dataclass(frozen=True, slots=True)
class Received:
    """How far a download is.

    Attributes:
        name: of the entry.
        source: where from; or that another process is waited for.
        done: bytes so far. total: bytes in all, None where that is not known.
    """

    name: str
    source: str
    done: int
    total: int | None


Progress = Callable[[Received], None]
"""Told of every piece that comes, in the thread that fetches."""

_LOCK_TIMEOUT = 1800.0


def cache_dir(cache: Path | None = None) -> Path:
    """The cache: `cache`, else the environment variable PEOPLESTREAM_CACHE, else the platform's own place."""
    if cache is not None:
        return cache
    moved = os.environ.get(CACHE_VARIABLE)
    return Path(moved) if moved else platformdirs.user_cache_path("peoplestream", appauthor=False)


def path_of(entry: Entry, cache: Path | None = None) -> Path:
    """Where the file of `entry` lies, or would lie."""
    return cache_dir(cache) / "weights" / entry.name / entry.file


def state(entry: Entry, cache: Path | None = None) -> State:
    """Whether the file of `entry` is in the cache, with the bytes that it should have."""
    if not entry.file:
        return "needless"
    path = path_of(entry, cache)
    if not path.is_file():
        return "absent" if entry.published else "unpublished"
    return "present" if _is_whole(entry, path) else "corrupt"


def cached(entry: Entry, cache: Path | None = None) -> Path | None:
    """The file of `entry` where the cache has it whole, else None; never fetches."""
    return path_of(entry, cache) if state(entry, cache) == "present" else None


def fetch(entry: Entry, cache: Path | None = None, progress: Progress | None = None) -> Path:
    """The file of `entry`, verified: from the cache, else from its first source that can deliver it.

    A download that breaks off is continued by the next call. Of several processes that ask for the same file one
    fetches it and the others wait. Once the file is there, neither network nor a writable cache is needed.

    Args:
        entry: what to fetch.
        cache: see `cache_dir`.
        progress: told how far it is.

    Raises:
        WeightsError: no source delivered the file, or the cache cannot be written; one sentence that says what was
            tried and why it failed.
    """
    path = path_of(entry, cache)
    found = state(entry, cache)
    if found == "present":
        return path
    if found == "corrupt":
        logger.warning("%s does not have the sha256 that it should have; fetching it again", path)
    if not entry.published:
        raise WeightsError(
            f"no address is known from which weights of {entry.name} can be fetched; give a file of your own with "
            f"`weights: PATH` beside its name, or `weights: random` to try it without"
        )
    tell = progress or (lambda _: None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent, entry.name, tell):
            if state(entry, cache) != "present":
                path.unlink(missing_ok=True)
                _pull(entry, path, tell)
    except filelock.Timeout:
        raise WeightsError(
            f"another process has been fetching {entry.name} for {_LOCK_TIMEOUT / 60:.0f} minutes; "
            f"when it is stuck, end it and try again"
        ) from None
    except OSError as error:
        for workspace in path.parent.glob("source-*"):
            shutil.rmtree(workspace, ignore_errors=True)
        raise WeightsError(
            f"{entry.name} cannot be stored in {path.parent}: {error.strerror or error}; "
            f"make room or give write access there, or choose another folder with {CACHE_VARIABLE}"
        ) from error
    return path


@contextmanager
def _locked(folder: Path, name: str, tell: Progress) -> Iterator[None]:
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        tell(Received(name, "another process fetches it; waiting", 0, None))
        lock.acquire(timeout=_LOCK_TIMEOUT)
    try:
        yield
    finally:
        lock.release()


def _pull(entry: Entry, path: Path, tell: Progress) -> None:
    """Bring the file to `path` from the first source that delivers it.

    Each source works in a folder of its own beside `path`, which stays there as long as it may be continued.
    """
    failures = []
    with requests.Session() as session:
        for number, source in enumerate(entry.sources):
            workspace = path.parent / f"source-{number}"
            try:
                _deliver(session, entry, source, workspace, tell).replace(path)
            except SourceError as error:
                failures.append(f"{source} ({error})")
                logger.info("%s did not come from there: %s", entry.name, error)
                continue
            for left in path.parent.glob("source-*"):
                shutil.rmtree(left)
            return
    raise WeightsError(
        f"{entry.name} cannot be fetched; tried {'; '.join(failures)}; "
        f"check the network, or copy {entry.file} to {path.parent} yourself"
    )


def _deliver(
    session: requests.Session, entry: Entry, source: UrlSource | IndexSource, workspace: Path, tell: Progress
) -> Path:
    """The file of `entry` from `source`, verified, in `workspace`; what came wrong is deleted."""
    continued = workspace.exists() and any(workspace.iterdir())
    workspace.mkdir(exist_ok=True)
    label = str(source)
    logger.info("fetching %s from %s", entry.name, label)
    try:
        file = _take(session, source, workspace, lambda done, total: tell(Received(entry.name, label, done, total)))
        if not _is_whole(entry, file):
            raise DamagedError(f"refused: {file.stat().st_size} bytes with sha256 {_sha256(file)}, not {entry.digest}")
    except DamagedError:
        shutil.rmtree(workspace)
        if continued:  # what an earlier attempt left may have been the damaged part
            return _deliver(session, entry, source, workspace, tell)
        raise
    return file


def _take(session: requests.Session, source: UrlSource | IndexSource, workspace: Path, report: Report) -> Path:
    from models.archives import fetch_from_index, fetch_from_zip  # slow to import, and seldom needed

    if isinstance(source, IndexSource):
        return fetch_from_index(session, source, workspace, report)
    if source.member is not None:
        return fetch_from_zip(session, source.url, source.member, workspace, report)
    part = workspace / "file.part"
    download(session, source.url, part, report)
    return part


def _is_whole(entry: Entry, path: Path) -> bool:
    return entry.size in (None, path.stat().st_size) and _sha256(path).startswith(entry.digest)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
