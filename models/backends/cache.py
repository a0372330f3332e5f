"""Engines on disk: what took long to compile is kept, and taken again only if nothing has changed since."""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import filelock

log = logging.getLogger(__name__)

SIDECAR = "engine.json"
"""Name of the file beside an engine's own that tells what it is."""

Value: TypeAlias = "str | int | float | bool | Sequence[Value] | Mapping[str, Value] | None"

Build = Callable[[Path], Mapping[str, Any]]
"""Writes an engine's files into the empty folder it is given; returns facts about it, such as JSON can hold."""

KEPT = 8
"""Engines of one name at most: sizes of input, weights, and what an older version of this package has left."""

_LOCK_TIMEOUT = 1800.0
"""Seconds to wait for another process that builds the same engine: longer than the slowest build known."""


@dataclass(frozen=True, slots=True)
class EngineKey:
    """Everything that decides whether an engine may be used again.

    Attributes:
        values: name -> value: weights, network, versions, device, precision, shapes, flags. Tuples count as lists.

    Raises:
        TypeError, ValueError: a value has no form in JSON.
    """

    values: Mapping[str, Value]

    def __post_init__(self) -> None:
        # What is read back from a sidecar has to be equal, and what the caller changes later has to change nothing.
        object.__setattr__(self, "values", MappingProxyType(json.loads(_canonical(self.values))))

    @property
    def digest(self) -> str:
        """sha256 of the values as canonical JSON, hexadecimal."""
        return hashlib.sha256(_canonical(self.values).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Engine:
    """A compiled network on disk.

    Attributes:
        folder: holds the files that were built.
        facts: what the builder said of it.
        fresh: whether it was built just now.
    """

    folder: Path
    facts: Mapping[str, Any]
    fresh: bool


@dataclass(frozen=True, slots=True)
class Record:
    """What the sidecar of an engine tells.

    Attributes:
        name: under which it was asked for.
        key: see `EngineKey`.
        facts: what its builder said of it.
        files: path in its folder -> {"sha256": hexadecimal, "bytes": size}.
        seconds: that it took to build.
        built_at: ISO 8601, UTC.
    """

    name: str
    key: Mapping[str, Any]
    facts: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]
    seconds: float
    built_at: str

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(int(file["bytes"]) for file in self.files.values())


class _InvalidError(Exception):
    """A folder does not hold the engine that it should; the message says why."""


class EngineCache:
    """A folder of engines that several processes may share.

    Args:
        folder: None for `engines` beside the cached weights, see `models.weights.cache_dir`.

    An engine lies in a folder of its own, which appears there complete, by one rename. Engines are programs: who can
    write here decides what is run.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is None:
            from models.weights import cache_dir  # slow to import: it can do downloads

            folder = cache_dir() / "engines"
        self.folder = folder

    def get(self, name: str, key: EngineKey) -> Engine | None:
        """The engine for `key` if it is there with every byte; else None, and the log says what is wrong with it.

        Args:
            name: what people know it by; with `key` it decides where the engine lies.
            key: what it has to have been built for.
        """
        place = self._place(name, key)
        if not place.exists():
            return None
        try:
            with suppress(OSError):  # on a disk that can only be read nothing is removed either
                os.utime(place / SIDECAR)
            return Engine(place, _verified(place, key).facts, fresh=False)
        except _InvalidError as reason:
            log.warning("the engine in %s is not used: %s", place, reason)
            return None

    def get_or_build(self, name: str, key: EngineKey, build: Build) -> Engine:
        """The engine for `key`, built if it is not there; of several processes one builds and the others wait for it.

        Where the folder cannot be written, or whoever builds there never ends, the engine is built for this process
        alone and a warning says so: a service on a read-only disk is to start slowly, but to start. Whatever `build`
        raises is raised; nothing of the attempt is left.

        Args:
            name, key: see `get`.
            build: see `Build`; called at most once where the disk is sound.
        """
        found = self.get(name, key)
        if found is not None:
            return found
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked(self._place(name, key)) as place:
                found = self.get(name, key)  # the one we waited for may have built it
                if found is not None:
                    return found
                self._sweep()
                built = _build_in(place, name, key, build)
                self._prune(name)
                return built
        except OSError as error:  # filelock.Timeout is one
            reason = "another process never ends building it" if isinstance(error, filelock.Timeout) else error.strerror
            log.warning(
                "%s is compiled for this run only, for it cannot be kept in %s: %s; make room or give write access "
                "there, or choose another folder with PEOPLESTREAM_CACHE",
                name, self.folder, reason or error,
            )  # fmt: skip
        own = Path(tempfile.mkdtemp(prefix="peoplestream-engine-"))
        atexit.register(shutil.rmtree, own, ignore_errors=True)
        return _build_in(own / "engine", name, key, build)

    def records(self) -> Iterator[tuple[Path, Record | str]]:
        """Every engine here, by name: its folder, and its sidecar or why that cannot be read. Hashes no file."""
        for place in sorted(path for path in self.folder.glob("*") if path.is_dir() and path.suffix != ".part"):
            try:
                yield place, _read(place)
            except _InvalidError as reason:
                yield place, str(reason)

    def _place(self, name: str, key: EngineKey) -> Path:
        return self.folder / f"{_stem(name)}-{key.digest[:16]}"

    @contextmanager
    def _locked(self, place: Path) -> Iterator[Path]:
        lock = filelock.FileLock(_lock_of(place))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            log.info("another process builds %s; waiting for it", place.name)
            lock.acquire(timeout=_LOCK_TIMEOUT)
        try:
            yield place
        finally:
            lock.release()

    def _sweep(self) -> None:
        """Remove what killed builders left: nobody holds their lock."""
        for part in self.folder.glob("*.part"):
            try:
                with filelock.FileLock(_lock_of(part.with_suffix("")), timeout=0):
                    shutil.rmtree(part, ignore_errors=True)
            except filelock.Timeout:
                continue

    def _prune(self, name: str) -> None:
        """Remove engines of this name that have not been asked for the longest, so that versions do not pile up."""
        places = self.folder.glob(f"{_stem(name)}-{16 * '[0-9a-f]'}/{SIDECAR}")
        for old in [used.parent for used in sorted(places, key=_used)[:-KEPT]]:
            log.info("removing %s: %d newer engines are kept for the same network", old, KEPT)
            shutil.rmtree(old, ignore_errors=True)


@functools.cache
def code_fingerprint() -> str:
    """sha256 of the source of this package: networks that are written differently are other networks."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _build_in(place: Path, name: str, key: EngineKey, build: Build) -> Engine:
    """Build beside `place`, then put it there, over whatever was there."""
    part = place.with_name(f"{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        log.info("compiling %s; this can take minutes", name)
        started = time.monotonic()
        facts = dict(build(part))
        seconds = round(time.monotonic() - started, 3)
        files = {path.relative_to(part).as_posix(): _fingerprint(path) for path in part.rglob("*") if path.is_file()}
        record = Record(name, dict(key.values), facts, files, seconds, datetime.now(UTC).isoformat(timespec="seconds"))
        (part / SIDECAR).write_text(json.dumps(asdict(record), indent=2, allow_nan=False), encoding="utf-8")
        if place.exists():
            shutil.rmtree(place)
        part.replace(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    log.info("compiled %s in %.1f s: %s, %d bytes", name, seconds, place, record.size)
    return Engine(place, facts, fresh=True)


def _used(sidecar: Path) -> float:
    """When an engine was last asked for; one that another process has just removed counts as the oldest."""
    try:
        return sidecar.stat().st_mtime
    except OSError:
        return 0.0


def _read(place: Path) -> Record:
    try:
        fields = json.loads((place / SIDECAR).read_text(encoding="utf-8"))
        record = Record(**fields)
        if not (isinstance(record.key, dict) and isinstance(record.facts, dict)):
            raise ValueError("it does not say for what it was built, or what was built")
        if not record.files or record.size <= 0:
            raise ValueError("it names no files")
    except OSError as error:
        raise _InvalidError(f"{SIDECAR} cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _InvalidError(f"{SIDECAR} is damaged ({error})") from error
    return record


def _verified(place: Path, key: EngineKey) -> Record:
    """The sidecar in `place`, if it is for `key` and every file is as it says."""
    record = _read(place)
    if record.key != key.values:
        names = sorted(set(record.key) | set(key.values))
        other = [name for name in names if record.key.get(name) != key.values.get(name)]
        raise _InvalidError(f"it was built for another {', '.join(other)}")
    for name, expected in record.files.items():
        try:
            found = _fingerprint(place / name)
        except OSError as error:
            raise _InvalidError(f"{name} cannot be read ({error.strerror})") from error
        if found != expected:
            raise _InvalidError(f"{name} is not what was built ({found['bytes']} bytes of {expected['bytes']})")
    return record


def _fingerprint(path: Path) -> dict[str, str | int]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}


def _stem(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)


def _lock_of(place: Path) -> Path:
    return place.with_name(f"{place.name}.lock")


def _canonical(values: Mapping[str, Value]) -> str:
    return json.dumps(dict(values), sort_keys=True, separators=(",", ":"), allow_nan=False)
