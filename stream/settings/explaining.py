"""What pydantic finds wrong, in words for people."""

from __future__ import annotations

import difflib
import re
from typing import get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from stream.config import Config
from stream.settings.lined_yaml import KeyPath
from stream.uri import redact

_EXPECTED = {
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "model_type": "must be a section of options",
    "string_type": "must be text",
    "tuple_type": "must be a list",
}
_LONGEST_SHOWN = 60


def explain(error: ErrorDetails) -> str:
    """One sentence for `error`: what the value must be, and what it is."""
    kind, found = error["type"], error["input"]
    if kind == "extra_forbidden":
        return _unknown(error["loc"])
    if kind == "missing":
        return "is missing"
    if "at" in error.get("ctx", {}):  # a value that is fine by itself and wrong beside another
        return error["msg"]
    said = _EXPECTED.get(kind) or re.sub(r"^\w+ should ", "must ", error["msg"]).removeprefix("Value error, ")
    message = f"{said}, but is {shown(found)}"
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
    return f"unknown key; did you mean {dotted((*path[:-1], close[0]))}?"


def _options(path: KeyPath) -> list[str]:
    """The names of the options in the section at `path`."""
    section: type[BaseModel] = Config
    for key in path:
        if isinstance(key, str) and key in section.model_fields:
            annotation = section.model_fields[key].annotation
            inner = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
            section = next((kind for kind in inner if issubclass(kind, BaseModel)), section)
    return list(section.model_fields)


def dotted(path: KeyPath) -> str:
    """`path` as it is written in overrides: `streams.0.fps`."""
    return ".".join(map(str, path))


def shown(value: object) -> str:
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
