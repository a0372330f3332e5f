"""Names of sources: which are paths and which are URIs, and how to show them without their credentials."""

from __future__ import annotations

import difflib
import glob
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

_LONGEST_NAME = 190
"""Characters of a name that is made from a source: the 200 that an id may have, less room for a number behind it."""

FEEDS = frozenset({"rtsp", "rtsps", "http", "https", "udp", "v4l2"})
"""The schemes of live sources."""

KINDS = "give a file, a folder, testpattern://, rtsp://, http(s)://, udp:// or v4l2://"
"""What is said to whoever gave something else."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_DEVICE = re.compile(r"/dev/video\d+")
_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^:\[\]\s]*)(?::([^:]*))?")
_REMOTE = r"\b(?!(?:testpattern|file)://)[A-Za-z][A-Za-z0-9+.-]*://"
_USERINFO = re.compile(rf"({_REMOTE}).*@", re.DOTALL | re.IGNORECASE)
_QUERY = re.compile(rf"({_REMOTE}[^?\s]*)\?\S*", re.IGNORECASE)
_IN_PATH = re.compile(
    r"(user(?:name)?|login|pass(?:word|wd)?|pwd|token|auth|secret|key)=[^&/\s]*?(?=_\w+=|[&/\s]|$)", re.I
)


def redact(text: str) -> str:
    """`text` with the credentials of every URI in it replaced by `***`.

    Cameras take them in three places: before the host (`rtsp://user:password@host`), in the query, and as `name=value`
    in the path. What lies before the last `@` goes, since a password may hold any character; so does the whole query.
    """
    if not _SCHEME.search(text):
        return text
    text = _QUERY.sub(r"\1?***", _USERINFO.sub(r"\1***@", text))
    return _IN_PATH.sub(r"\1=***", text)


def scheme(source: str) -> str | None:
    """The scheme of a URI in lower case, None for a path."""
    match = _SCHEME.match(source)
    return match[1].lower() if match else None


def local_path(source: str) -> str | None:
    """The path or glob that `source` names on this machine (`~` and `file://` resolved), None for another URI."""
    if scheme(source) == "file":
        return unquote(source[len("file://") :]).removeprefix("localhost")
    return str(_at_home(source)) if scheme(source) is None else None


def _at_home(path: str) -> Path:
    """`path` with a leading `~` resolved; `~nobody` is left alone."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def _is(question: Callable[[Path], bool], path: Path | str) -> bool:
    """The answer for `path`; False where it cannot be found out (a name too long, a folder that may not be read)."""
    try:
        return question(Path(path))
    except OSError:
        return False


def is_live(source: str) -> bool:
    """Whether `source` sends when it likes, as a camera does, rather than when it is asked."""
    return scheme(source) not in (None, "file", "testpattern") or _DEVICE.fullmatch(source) is not None


def impossible(source: str) -> str | None:
    """One sentence, without credentials, when no attempt can ever reach the feed at `source`; else None."""
    kind = scheme(source)
    if kind in (None, "file", "testpattern"):
        return None
    if kind not in FEEDS:
        return f"there is no such kind of address as {kind}://; {KINDS}"
    rest = source.partition("://")[2]
    if kind == "v4l2":
        return None if rest.startswith("/") else "must name a device, as in v4l2:///dev/video0"
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    place = _PLACE.fullmatch(authority.rpartition("@")[2])
    if place is None or not (place[1] or kind == "udp"):
        return f"must name a host, as in {kind}://192.0.2.7/1 or {kind}://[2001:db8::7]/1"
    if place[2] is None:
        return "must name a port, as in udp://0.0.0.0:5004" if kind == "udp" else None
    if re.fullmatch(r"\d{1,5}", place[2], re.ASCII) and 0 < int(place[2]) <= 65_535:
        return None
    escape = "; write / ? # in a password as %2F %3F %23" if "@" in rest[len(authority) :] else ""
    return f"must name a port from 1 to 65535 behind the host{escape}"


def is_glob(path: str) -> bool:
    """Whether `path` is a pattern; a file that really bears such a name is none."""
    return glob.has_magic(path) and not _is(Path.exists, path)


def relative_to(folder: Path, source: str) -> str:
    """`source` as somebody in `folder` would name it: a relative path is joined to it, all else is left alone."""
    if scheme(source) is not None or _at_home(source).is_absolute():
        return source
    joined = str(folder / source)
    return str(Path(glob.escape(str(folder))) / source) if is_glob(joined) else joined


def expand(pattern: str) -> Iterator[Path]:
    """What a glob matches, in no particular order."""
    return map(Path, glob.iglob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern


def missing(path: str) -> str | None:
    """One sentence when nothing is at `path` (or matches it), with the neighbour that was probably meant; else None."""
    if is_glob(path):
        return None if next(expand(path), None) else f"nothing matches {path}"
    if _is(Path.exists, path):
        return None
    parent = Path(path).parent
    if not _is(Path.is_dir, parent):
        return f"no such file or folder: {path} (there is no folder {parent})"
    try:
        neighbours = [entry.name for entry in parent.iterdir()]
    except OSError:
        neighbours = []
    close = difflib.get_close_matches(Path(path).name, neighbours, n=1)
    return f"no such file or folder: {path}" + (f"; did you mean {parent / close[0]}?" if close else "")


def stream_id(source: str) -> str:
    """A short, printable name for the stream from `source`: of its file or folder, or the last part of its address."""
    path = local_path(source)
    if path is None:
        address = re.sub(r"[?#].*", "", redact(source), flags=re.DOTALL).split("://", 1)[1].rsplit("@", 1)[-1]
        host, _, document = address.rstrip("/").rpartition("/")
        name = "testpattern" if scheme(source) == "testpattern" else document
        has_suffix = bool(host)
    else:
        fixed = [part for part in Path(path).absolute().parts if not glob.has_magic(part)]
        name = fixed[-1] if is_glob(path) else Path(path).absolute().name
        has_suffix = not is_glob(path) and not _is(Path.is_dir, path)
    stem = Path(name).stem if has_suffix else name
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")
    return name[:_LONGEST_NAME] or "stream"
