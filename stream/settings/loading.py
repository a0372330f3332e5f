"""From a YAML file, sources and overrides to a configuration, or to everything that is wrong with them."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from models.errors import UnknownModelError
from models.zoo import Role, load_zoo
from stream.config import Config, ConfigError, Problem, StreamConfig
from stream.settings.explaining import dotted, explain, shown
from stream.settings.lined_yaml import KeyPath, Plain, read_yaml
from stream.uri import local_path, missing, redact, relative_to, scheme, stream_id

NO_KEYPOINTS = "is placed by keypoints: give pose.model, or set masks.model to null as well"


def load_config(
    path: Path | None = None, overrides: Sequence[str] = (), sources: Sequence[str] = (), *, here: bool = True
) -> Config:
    """The configuration in the file at `path`, with `sources` added as streams and then `overrides` applied.

    Relative paths of streams in the file start at its folder, those of `sources` and `overrides` where the program was
    started. A stream from `sources` gets its id from the name of its file.

    Args:
        path: a YAML file; None stands for an empty one, which means the defaults.
        overrides: `dotted.key=value`, the value in YAML; entries of lists by their number: `streams.0.fps=5`.
        sources: paths and URIs.
        here: whether it is to be run on this machine, where its weights, keys and folders must then be.

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
    return draft.config(here=here)


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
    if stream.id in taken:
        raise ConfigError([Problem("", "id", f"{stream.id} is taken; remove that stream first, or give another id")])
    if wrong := _unusable(stream.source):
        raise ConfigError([Problem("", "source", wrong)])
    return stream


def change_options(stream: StreamConfig, options: Mapping[str, object]) -> StreamConfig:
    """`stream` with other options; its id is for ever.

    Raises:
        ConfigError: with everything that is wrong.
    """
    if options.get("id", stream.id) != stream.id:
        raise ConfigError([Problem("", "id", "cannot be changed; remove the stream and add it under another one")])
    return load_stream({**stream.model_dump(exclude_unset=True), **options})


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
            message = f"must be a mapping of options such as `streams:`, but is {shown(document.value)}"
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
        return self.config(here=False).streams[0]

    def override(self, override: str) -> None:
        """Set one value."""
        key, equals, text = override.partition("=")
        where = f"--set {redact(override)}"
        if not equals or not all(key.strip().split(".")):
            self._problems.append(Problem(where, "", "must look like section.option=value"))
            return
        document = read_yaml(text)
        self._problems += [Problem(where, "", message) for _, message in document.problems]
        if not document.problems:
            self._set(tuple(key.strip().split(".")), document.value, where)

    def config(self, *, here: bool) -> Config:
        """The configuration that all this makes; see `load_config`."""
        config, mended = self._judge()
        self._problems += [*self._wrong_sources(), *self._unknown_models(), *self._masks_without_keypoints()]
        if here and config is not None:
            self._problems += self._lacking(config, mended)
        if self._problems or config is None:
            raise ConfigError(sorted(self._problems, key=_line))
        return config

    def _judge(self) -> tuple[Config | None, set[str]]:
        """Validate. What is wrong is mended in a copy that is judged again: some checks need all else to be right.

        Returns:
            The configuration, None where it cannot be mended; and the sections that were.
        """
        values = deepcopy(self._values)
        mended: set[KeyPath] = set()
        while True:
            try:
                config = Config.model_validate(values)
            except ValidationError as error:
                found = [(_path(details), details) for details in error.errors(include_url=False)]
            else:
                return config, {str(path[0]) for path in mended}
            # In a section that was mended, options may not fit together just because of the default that was put in.
            sections = {path[:1] for path in mended} - {("streams",)}
            fresh = [(path, details) for path, details in found if path[:1] not in sections and path not in mended]
            if not fresh:
                return None, set()
            for path, details in fresh:
                self._problems.append(Problem(self._origin(path), dotted(path), explain(details)))
                _mend(values, path, len(self._problems))
                mended.add(path)

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
                    self._problems.append(Problem(where, dotted(path), message))
                    return
                step = int(key)
            elif not isinstance(at, dict):
                self._problems.append(Problem(where, dotted(path), "is a single value and has no options"))
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

    def _wrong_sources(self) -> Iterator[Problem]:
        """Sources of the file that cannot be opened. One from the command line is left to its own error."""
        for key in sorted(self._in_file, key=str):
            wrong = _unusable(self._streams()[int(key[1])]["source"])
            if wrong:
                yield Problem(self._origin(key), dotted(key), wrong)

    def _lacking(self, config: Config, mended: set[str]) -> Iterator[Problem]:
        """What this machine lacks; of `mended` sections, nothing can be told."""
        from stream.settings.needs import lacking  # knows of sockets, which take long to import

        unknown = mended | ({"publish", "control"} if "security" in mended else set())
        for key, message in lacking(config):
            if key[0] not in unknown:
                yield Problem(self._origin(key), dotted(key), message)

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
                    yield Problem(self._origin(key), dotted(key), str(error))

    def _masks_without_keypoints(self) -> Iterator[Problem]:
        """Masks that need keypoints where no network finds any."""
        if not any(role in self._values for role in get_args(Role)):  # the defaults go together; the zoo takes long
            return
        defaults, names = Config(), []
        for role in get_args(Role):
            section = self._values.get(role)
            given = section if isinstance(section, dict) else {}
            names.append(given.get("model", getattr(defaults, role).model))
        if not all(isinstance(name, str | None) for name in names):
            return
        try:
            lacking = load_zoo().lacks_keypoints(*names)
        except UnknownModelError:  # told already
            return
        if lacking:
            key = ("masks", "model")
            yield Problem(self._origin(key), dotted(key), NO_KEYPOINTS)

    def _origin(self, path: KeyPath) -> str:
        while path not in self._origins and path:
            path = path[:-1]
        return self._origins.get(path, "")


def _path(error: ErrorDetails) -> KeyPath:
    return (*error["loc"], *error.get("ctx", {}).get("at", ()))


def _mend(values: dict[str, Any], path: KeyPath, number: int) -> None:
    """Make the option right that holds `path`: by its default, or by text of its own (`number`) where it has none."""
    if path[0] == "streams" and len(path) > 1:
        i = int(path[1])
        needed = {"id": f"unknown-{number}", "source": "unknown"}
        if len(path) == 2:
            values["streams"][i] = needed
        elif path[2] in needed:
            values["streams"][i][path[2]] = needed[str(path[2])]
        else:
            values["streams"][i].pop(path[2], None)
    elif len(path) == 1:
        values.pop(str(path[0]), None)
    elif isinstance(section := values.get(str(path[0])), dict):
        section.pop(path[1], None)


def _unusable(source: str) -> str | None:
    """One sentence where it can be told without opening `source` that it cannot be opened, else None."""
    path = local_path(source)
    if path is not None:
        return missing(path)
    if scheme(source) == "testpattern":
        from stream.sources.pattern import PatternReader
        from stream.sources.reader import SourceError

        try:
            PatternReader(source, Counter()).close()
        except SourceError as error:
            return str(error)
    return None


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


def _line(problem: Problem) -> int:
    """Sorts the problems of the file by line; those of the command line come behind."""
    match = re.search(r":(\d+)$", problem.where)
    return int(match[1]) if match and not problem.where.startswith("--") else sys.maxsize
