"""What a configuration needs of this machine: weights, keys, a folder to record to, addresses that may be opened."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from models.zoo import Role
from stream.config import Config
from stream.settings.lined_yaml import KeyPath
from stream.uri import local_path, missing, scheme
from stream.wire.keys import KeyFolder, SecurityError


def lacking(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """The options that a run could not go by here, each with one sentence; nothing is downloaded or left behind."""
    for role in get_args(Role):
        section = getattr(config, role)
        if section.model is not None and (why := _no_weights(section.weights)):
            yield (role, "weights"), why
    if config.record.dir is not None and (why := _no_folder(Path(config.record.dir))):
        yield ("record", "dir"), why
    if config.security.keys is None:
        yield from _exposed(config)
    elif why := _no_keys(config.security.keys):
        yield ("security", "keys"), why


def _no_weights(weights: str) -> str | None:
    """Why a network cannot have these weights, where they are a file; else None."""
    if weights in ("pretrained", "random"):
        return None
    path = local_path(weights) if scheme(weights) is None else weights
    why = missing(path or weights)
    return f"{why}; give the path of a file, pretrained or random" if why else None


def _no_keys(folder: str) -> str | None:
    """Why the keys in `folder` cannot be used; None where they can."""
    try:
        KeyFolder(folder).server()
    except SecurityError as error:
        return str(error)
    return None


def _exposed(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """Addresses that other machines reach, where nothing guards them."""
    from stream.wire.security import exposed

    insecure, published, taken = config.security.insecure, config.publish.endpoint, config.control.endpoint
    if published and (why := exposed("publish at", published, insecure=insecure)):
        yield ("publish", "endpoint"), why
    if taken and (why := exposed("take commands at", taken, insecure=insecure, commands=True)):
        yield ("control", "endpoint"), why


def _no_folder(folder: Path) -> str | None:
    """Why nothing can be written to `folder`, which is made where it is not there yet; None where it can."""
    # os.path, since Path.exists raises for a name that is too long or may not be looked at
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    if not os.path.isdir(there):  # noqa: PTH112
        return f"must be a folder, but {there} is a file"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"there is no permission to write to {there}; choose another folder"
    if there != folder.absolute():
        try:  # what only seems to be a disk, such as /proc, permits everything and then refuses
            Path(tempfile.mkdtemp(prefix="peoplestream-", dir=there)).rmdir()
        except OSError as error:
            return f"cannot be made in {there}: {error.strerror}; choose another folder"
    return None
