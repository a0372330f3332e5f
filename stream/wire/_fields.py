"""Reading the fields of a message that somebody else has written: right type, right range, or a `SchemaError`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")

_KINDS = {
    type(None): "null", bool: "true or false", int: "an integer", float: "a number", str: "text", bytes: "bytes",
    list: "a list", dict: "a map",
}  # fmt: skip


class SchemaError(ValueError):
    """A message that is not what `docs/wire.md` describes; the sentence says which field and why."""


class VersionError(SchemaError):
    """A message of another major version, which this program must not try to understand."""


def is_id(text: str) -> bool:
    """Whether `text` can name a stream, a file and a topic: 1 to 200 letters, digits, dots, underscores and minuses."""
    return _ID.fullmatch(text) is not None


def field(record: Mapping[str, Any], name: str) -> Any:
    """The value of a field that must be there."""
    try:
        return record[name]
    except KeyError:
        raise SchemaError(f"field {name!r} is missing") from None


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SchemaError(f"{name} is {_kind(value)}, not a map")
    return value


def sequence(record: Mapping[str, Any], name: str, length: int | None = None) -> list[Any]:
    """A list, of `length` values where that is given."""
    return items(field(record, name), name, length)


def items(value: Any, name: str, length: int | None = None) -> list[Any]:
    """`value`, where it is such a list."""
    if not isinstance(value, list):
        raise SchemaError(f"field {name!r} is {_kind(value)}, not a list")
    if length is not None and len(value) != length:
        raise SchemaError(f"field {name!r} has {len(value)} values, not {length}")
    return value


def text(record: Mapping[str, Any], name: str) -> str:
    value = field(record, name)
    if not isinstance(value, str):
        raise SchemaError(f"field {name!r} is {_kind(value)}, not text")
    return value


def stream_id(record: Mapping[str, Any]) -> str:
    """The field `stream`."""
    value = text(record, "stream")
    if not is_id(value):
        raise SchemaError(f"field 'stream' is {value[:40]!r}: an id has 1 to 200 letters, digits, '.', '_' and '-'")
    return value


def flag(record: Mapping[str, Any], name: str) -> bool:
    value = field(record, name)
    if not isinstance(value, bool):
        raise SchemaError(f"field {name!r} is {_kind(value)}, not true or false")
    return value


def integer(record: Mapping[str, Any], name: str, low: int = 0, high: int = 2**63 - 1) -> int:
    return whole(field(record, name), name, low, high)


def number(record: Mapping[str, Any], name: str) -> float:
    return real(field(record, name), name)


def numbers(record: Mapping[str, Any], name: str, length: int) -> list[float]:
    return [real(value, name) for value in sequence(record, name, length)]


def whole(value: Any, name: str, low: int, high: int) -> int:
    """`value`, where it is an integer of low..high."""
    if type(value) is not int:
        raise SchemaError(f"field {name!r} is {_kind(value)}, not an integer")
    if not low <= value <= high:
        raise SchemaError(f"field {name!r} is outside of {low}..{high}")
    return value


def real(value: Any, name: str) -> float:
    """`value`, where it is a finite number that fits a float32."""
    if type(value) is not float and type(value) is not int:
        raise SchemaError(f"field {name!r} is {_kind(value)}, not a number")
    if not -3.4e38 < value < 3.4e38:  # also refuses NaN
        raise SchemaError(f"field {name!r} is not a finite number")
    return float(value)


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), f"a {type(value).__name__}")
