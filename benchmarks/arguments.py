"""What the benchmarks are given: refused in one sentence, before anything is measured, where it cannot be right.

The functions from text to something else are `type=` of `argparse`, which shows their sentence and leaves with 2.
"""

from __future__ import annotations

import math
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from tempfile import TemporaryFile
from typing import ParamSpec, TypeVar

import av
import cv2

from models.errors import UnknownModelError
from models.zoo import ModelEntry, load_zoo
from stream.uri import missing

OURS = ("benchmarks", "models", "stream")
"""Packages whose own errors are a sentence for people."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not (text.isdecimal() and int(text)):
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def counts(text: str) -> tuple[int, ...]:
    """Such numbers with commas between them."""
    return tuple(map(count, text.split(",")))


def positive(text: str) -> float:
    """A number above 0."""
    if not 0 < _number(text) < math.inf:
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return float(text)


def not_negative(text: str) -> float:
    """A number of at least 0."""
    if not 0 <= _number(text) < math.inf:
        raise ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return float(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def existing_file(text: str) -> Path:
    """A file that is there."""
    return _existing(text, Path.is_file, "a file")


def existing_folder(text: str) -> Path:
    """A folder that is there."""
    return _existing(text, Path.is_dir, "a folder")


def _existing(text: str, is_one: Callable[[Path], bool], kind: str) -> Path:
    if not is_one(Path(text)):
        raise ArgumentTypeError(missing(text) or f"{text} is not {kind}: name one")
    return Path(text)


def video(text: str) -> Path:
    """A video that can be opened."""
    path = existing_file(text)
    try:
        with av.open(str(path)) as container:
            pictures = len(container.streams.video)
    except (av.FFmpegError, OSError) as error:
        raise ArgumentTypeError(f"{path} cannot be opened as a video ({error.strerror}): name another one") from None
    if not pictures:
        raise ArgumentTypeError(f"{path} has no pictures: name a video")
    return path


def writable_file(text: str) -> Path:
    """A file that can be written; its folder is made."""
    path = Path(text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        path.open("ab").close()
        if new:
            path.unlink()
    except OSError as error:
        raise ArgumentTypeError(f"cannot write {path} ({error.strerror}): name another file") from None
    return path


def writable_folder(text: str) -> Path:
    """A folder, made where it is not there, in which files can be written."""
    folder = Path(text)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ArgumentTypeError(f"cannot write in {folder} ({error.strerror}): name another folder") from None
    return folder


def picture_file(text: str) -> Path:
    """A file that can be written, of a kind of picture that OpenCV writes."""
    if not cv2.haveImageWriter(text):
        raise ArgumentTypeError(f"{text} is no name of a picture: let it end in .png")
    return writable_file(text)


def network(text: str) -> ModelEntry:
    """A network of the zoo, by its name."""
    try:
        return load_zoo().entry(text)
    except UnknownModelError as error:
        raise ArgumentTypeError(str(error)) from None


def add_contest(parser: ArgumentParser, contenders: Collection[str]) -> None:
    """The arguments of every benchmark of others beside us on a video."""
    parser.add_argument("video", type=video)
    parser.add_argument("--threads", type=count, default=2, help="cores for each of them")
    only = f"this one; may be given several times: {'; '.join(contenders)}"
    parser.add_argument("--only", action="append", choices=contenders, metavar="NAME", help=only)
    parser.add_argument("--venvs", type=Path, default=Path(".peers"), help="where the environments are or will be")
    parser.add_argument("--quick", action="store_true", help="mark the figures as a trial's")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--results", type=writable_folder, help="write them there as JSON, for benchmarks.report")


def explained(main: Callable[Given, Result]) -> Callable[Given, Result]:
    """`main`, whose errors that somebody can do something about are one sentence and exit code 1, not a traceback."""

    @wraps(main)
    def run(*arguments: Given.args, **options: Given.kwargs) -> Result:
        try:
            return main(*arguments, **options)
        except Exception as error:
            if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] not in OURS:
                raise
            sys.exit(f"{Path(sys.argv[0]).name}: error: {error}")

    return run
