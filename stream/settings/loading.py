"""From a YAML file, sources and overrides to a configuration, or to everything that is wrong with them."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from models.errors import UnknownModelError
from models.zoo import Role, load_zoo
from stream.config import Config, ConfigError, Problem, StreamConfig
from stream.settings.lined_yaml import KeyPath, Plain, read_yaml
from stream.uri import local_path, missing, redact, relative_to, scheme, stream_id

_EXPECTED = {
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "model_type": "must be a section of options",
    "string_type": "must be text",
    "tuple_type": "must be a list",
}
_LONGEST_SHOWN = 60


def load_config(path: Path | None = None, overrides: Sequence[str] = (), sources: Sequence[str] = ()) -> Config:
    """The configuration in the file at `path`, with `sources` added as streams and then `overrides` applied.

    Relative paths of streams in the file start at its folder, those of `sources` and `overrides` where the program was
    started. A stream from `sources` gets its id from the name of its file.

    Args:
        path: a YAML file; None stands for an empty one, which means the defaults.
        overrides: `dotted.key=value`, the value in YAML; entries of lists by their number: `streams.0.fps=5`.
        sources: paths and URIs.

    Raises:
        ConfigError: with everything that is wrong, not only with the first of it.
    """
    draft = _Draft()
    if path is not None:
        draft.read(Path(path))
    for source in sources:
        draft.add_source(source)
    for override in overrides:
        draft.override(override)
    return draft.config()


def load_stream(options: object, taken: Collection[str] = ()) -> StreamConfig:
    """One stream of its options, such as `{"source": "lobby.mp4"}`; without an `id` it is named after its source.

    Args:
        options: what a person or program gave: not to be trusted.
        taken: ids that it cannot have.

    Raises:
        ConfigError: with everything that is wrong.
    """
    draft = _Draft()
    try:
        stream = draft.add_stream(options, taken)
    except ConfigError as error:
        raise ConfigError([_alone(problem) for problem in error.problems]) from None
    path = local_path(stream.source)
    if absent := missing(path) if path is not None and scheme(stream.source) != "testpattern" else None:
        raise ConfigError([Problem("", "source", absent)])
    if stream.id in taken:
        raise ConfigError([Problem("", "id", f"{stream.id} is taken; remove that stream first, or give another id")])
    return stream


class _Draft:
    """A configuration in the making: plain values, and where each was written."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._origins: dict[KeyPath, str] = {}
        self._in_file: set[KeyPath] = set()
        self._problems: list[Problem] = []

    def read(self, path: Path) -> None:
        """Take over a YAML file. One that is no mapping ends here: nothing else in it could be judged."""
        try:
            text = path.read_text("utf-8-sig")
        except FileNotFoundError:
            raise ConfigError([Problem(str(path), "", missing(str(path)) or "it has just been removed")]) from None
        except UnicodeDecodeError:
            raise ConfigError([Problem(str(path), "", "is not a text file (UTF-8)")]) from None
        except OSError as error:
            raise ConfigError([Problem(str(path), "", f"cannot be read: {error.strerror}")]) from None
        document = read_yaml(text)
        self._problems += [Problem(f"{path}:{line}", "", message) for line, message in document.problems]
        self._origins = {key: f"{path}:{line}" for key, line in document.lines.items()}
        if isinstance(document.value, dict):
            # A section whose options are all commented out reads as null and means its defaults.
            self._values = {k: v for k, v in document.value.items() if v is not None or k not in Config.model_fields}
        elif document.value is not None:
            message = f"must be a mapping of options such as `streams:`, but is {_shown(document.value)}"
            self._problems.append(Problem(f"{path}:1", "", message))
        if self._problems and not self._values:
            raise ConfigError(self._problems)
        for i, stream in enumerate(self._streams()):
            if isinstance(stream, dict) and isinstance(stream.get("source"), str) and stream["source"]:
                stream["source"] = relative_to(path.parent, stream["source"])
                self._in_file.add(("streams", i, "source"))

    def add_source(self, source: str) -> None:
        """Add a stream, under an id that no other has."""
        streams = self._streams()
        taken = {stream.get("id") for stream in streams if isinstance(stream, dict)}
        self._values["streams"] = [*streams, {"id": _free_id(source, taken), "source": source}]
        self._origins["streams", len(streams)] = f"--source {redact(source)}"

    def add_stream(self, options: object, taken: Collection[str]) -> StreamConfig:
        """The stream that `options` describe; it is the only one."""
        if isinstance(options, dict) and "id" not in options and isinstance(options.get("source"), str):
            options = {"id": _free_id(options["source"], taken), **options}
        self._values["streams"] = [options]
        return self.config().streams[0]

    def override(self, override: str) -> None:
        """Set one value."""
        dotted, equals, text = override.partition("=")
        where = f"--set {redact(override)}"
        if not equals or not all(dotted.strip().split(".")):
            self._problems.append(Problem(where, "", "must look like section.option=value"))
            return
        document = read_yaml(text)
        self._problems += [Problem(where, "", message) for _, message in document.problems]
        if not document.problems:
            self._set(tuple(dotted.strip().split(".")), document.value, where)

    def config(self) -> Config:
        """The configuration that all this makes."""
        config = None
        try:
            config = Config.model_validate(self._values)
        except ValidationError as error:
            self._problems += map(self._explain, error.errors(include_url=False))
        self._problems += [*self._missing_files(), *self._unknown_models()]
        if self._problems or config is None:
            raise ConfigError(sorted(self._problems, key=_line))
        return config

    def _streams(self) -> list[Any]:
        streams = self._values.get("streams")
        return streams if isinstance(streams, list) else []

    def _set(self, keys: Sequence[str], value: Plain, where: str) -> None:
        at: Any = self._values
        path: KeyPath = ()
        for depth, key in enumerate(keys):
            step: str | int = key
            if isinstance(at, list):
                if not key.isdecimal() or int(key) >= len(at):
                    message = f"there is no entry {key}; the first is 0 and there are {len(at)}"
                    self._problems.append(Problem(where, _dotted(path), message))
                    return
                step = int(key)
            elif not isinstance(at, dict):
                self._problems.append(Problem(where, _dotted(path), "is a single value and has no options"))
                return
            path = (*path, step)
            if depth == len(keys) - 1:
                at[step] = value
                self._forget(path)
                self._origins[path] = where
                return
            if isinstance(at, dict) and at.get(key) is None:
                at[key] = {}
                self._origins[path] = where
            at = at[step]

    def _forget(self, path: KeyPath) -> None:
        """Drop what is known of the values below `path`, which have just been replaced."""
        self._origins = {k: v for k, v in self._origins.items() if k[: len(path)] != path}
        self._in_file = {k for k in self._in_file if k[: len(path)] != path}

    def _missing_files(self) -> Iterator[Problem]:
        """What streams of the file name and is not there. A source from the command line is left to its own error."""
        for key in sorted(self._in_file, key=str):
            stream = self._streams()[int(key[1])]
            path = local_path(stream["source"])
            absent = missing(path) if path is not None else None
            if absent:
                yield Problem(self._origin(key), _dotted(key), absent)

    def _unknown_models(self) -> Iterator[Problem]:
        """Models that the zoo does not have, or has for another role."""
        for role in get_args(Role):
            section = self._values.get(role)
            name = section.get("model") if isinstance(section, dict) else None
            if isinstance(name, str):
                try:
                    load_zoo().entry(name, role)
                except UnknownModelError as error:
                    key = (role, "model")
                    yield Problem(self._origin(key), _dotted(key), str(error))

    def _origin(self, path: KeyPath) -> str:
        while path not in self._origins and path:
            path = path[:-1]
        return self._origins.get(path, "")

    def _explain(self, error: ErrorDetails) -> Problem:
        """Pydantic's error in our words."""
        path = (*error["loc"], *error.get("ctx", {}).get("at", ()))
        return Problem(self._origin(path), _dotted(path), _message(error))


def _alone(problem: Problem) -> Problem:
    """A problem of the only stream, without its number."""
    return replace(
        problem, key=re.sub(r"^streams\.0\.?", "", problem.key), message=problem.message.replace("streams.0.", "")
    )


def _free_id(source: str, taken: Collection[object]) -> str:
    """An id after the name of the source, with a number behind it where that is taken."""
    base = name = stream_id(source)
    number = 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


def _message(error: ErrorDetails) -> str:
    kind, found = error["type"], error["input"]
    if kind == "extra_forbidden":
        return _unknown(error["loc"])
    if kind == "missing":
        return "is missing"
    if "at" in error.get("ctx", {}):  # a value that is fine by itself and wrong beside another
        return error["msg"]
    said = _EXPECTED.get(kind) or re.sub(r"^\w+ should ", "must ", error["msg"]).removeprefix("Value error, ")
    message = f"{said}, but is {_shown(found)}"
    if kind == "literal_error" and isinstance(found, str):
        close = difflib.get_close_matches(found, re.findall(r"'([^']*)'", error["ctx"]["expected"]), n=1)
        message += f"; did you mean {close[0]}?" if close else ""
    return message


def _unknown(path: KeyPath) -> str:
    """Say that there is no such key, and which one was probably meant: a similar one here, or the same elsewhere."""
    key = str(path[-1])
    siblings = _options(path[:-1])
    close = difflib.get_close_matches(key, siblings, n=1)
    if not close:
        close = [f"{name}.{key}" for name in Config.model_fields if key in _options((name,))][:1]
        return "unknown key" + (f"; did you mean {close[0]}?" if close else f"; known are {', '.join(siblings)}")
    return f"unknown key; did you mean {_dotted((*path[:-1], close[0]))}?"


def _options(path: KeyPath) -> list[str]:
    """The names of the options in the section at `path`."""
    section: type[BaseModel] = Config
    for key in path:
        if isinstance(key, str) and key in section.model_fields:
            annotation = section.model_fields[key].annotation
            inner = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
            section = next((kind for kind in inner if issubclass(kind, BaseModel)), section)
    return list(section.model_fields)


def _line(problem: Problem) -> int:
    """Sorts the problems of the file by line; those of the command line come behind."""
    match = re.search(r":(\d+)$", problem.where)
    return int(match[1]) if match and not problem.where.startswith("--") else sys.maxsize


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))


def _shown(value: object) -> str:
    """`value` as a person would call it, without credentials."""
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case str():
            text = redact(value)
            return "the text " + repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "...")
        case dict():
            return "a section of options"
        case list():
            return "a list"
        case _:
            return repr(value)
