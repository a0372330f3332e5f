"""A configuration as YAML: the effective one, and the default one with every option explained."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from stream.config import Config, StreamConfig
from stream.uri import redact

_HEADER = """\
# Every option of peoplestream, with its default. Give only those you want to change; a section or option left out, or
# left empty, has the value shown here. `peoplestream config check FILE` tells what is wrong with a file.
"""
_EXAMPLE = {"id": "lobby", "source": "lobby.mp4"}
_WIDTH = 120


def default_text() -> str:
    """The default configuration, each option with its choices, its unit and its meaning; the text of default.yaml."""
    blocks = {name: _block(name, info) for name, info in Config.model_fields.items()}
    blocks["streams"] += _stream_example()
    return _HEADER + "\n" + "\n\n".join("\n".join(block) for block in blocks.values()) + "\n"


def effective_text(config: Config) -> str:
    """All values of `config` as YAML. Credentials in sources are replaced by `***`."""
    return yaml.safe_dump(effective(config), sort_keys=False, allow_unicode=True, width=_WIDTH)


def effective(config: Config) -> dict[str, Any]:
    """All values of `config` as plain ones. Credentials in sources are replaced by `***`."""
    values = config.model_dump(mode="json")
    for stream in values["streams"]:
        stream["source"] = redact(stream["source"])
    return values


def _block(name: str, info: FieldInfo) -> list[str]:
    """The lines of one entry of the file's top level, or of a section inside a section."""
    if not isinstance(info.default, BaseModel):
        return _options(Config, {}, name)
    section = type(info.default)
    title = [f"# {line}" for line in textwrap.wrap(" ".join((section.__doc__ or "").split()), _WIDTH - 2)]
    return [*title, f"{name}:", *_indented(_options(section, {}))]


def _options(section: type[BaseModel], given: Mapping[str, object], *only: str) -> list[str]:
    """The options of `section`, with the values `given` instead of their defaults, explained beside them."""
    fields = {name: info for name, info in section.model_fields.items() if not only or name in only}
    flat = {n: f"{n}: {_scalar(given.get(n, i.default))}" for n, i in fields.items() if not _is_section(i)}
    column = max(map(len, flat.values()), default=0) + 2
    lines: list[str] = []
    for name, info in fields.items():
        if _is_section(info):
            lines += ["", *_block(name, info)]
            continue
        meaning = textwrap.wrap(_meaning(info), max(_WIDTH - column - 8, 40))
        beside = itertools.zip_longest([flat[name]], [f"# {line}" for line in meaning], fillvalue="")
        lines += [f"{option:{column}}{comment}".rstrip() for option, comment in beside]
    return lines


def _stream_example() -> list[str]:
    """A stream in comments; without their `#` (and without `streams: []`) it is valid."""
    first, *others = _options(StreamConfig, _EXAMPLE)
    return [f"#   {line}" for line in (f"- {first}", *_indented(others))]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}".rstrip() for line in lines]


def _is_section(info: FieldInfo) -> bool:
    return isinstance(info.default, BaseModel)


def _meaning(info: FieldInfo) -> str:
    """Choices of an option, what it is for, and its range."""
    choices, limits = " | ".join(_choices(info.annotation)), _range(info.metadata)
    meaning = f"{choices}: {info.description}" if choices else info.description or ""
    return f"{meaning} ({limits})" if limits else meaning


def _choices(annotation: object) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    return [choice for inner in get_args(annotation) for choice in _choices(inner)]


def _range(constraints: Iterable[object]) -> str:
    """The values that `constraints` (of annotated-types) leave, in words."""
    bounds = {
        name: getattr(constraint, name)
        for constraint in constraints
        for name in ("ge", "gt", "le", "lt", "multiple_of")
        if getattr(constraint, name, None) is not None
    }
    if "ge" in bounds and "le" in bounds:
        return f"{bounds['ge']} to {bounds['le']}"
    words = {
        "ge": "{} or more",
        "gt": "above {}",
        "le": "{} at most",
        "lt": "below {}",
        "multiple_of": "a multiple of {}",
    }
    return ", ".join(words[name].format(bound) for name, bound in bounds.items())


def _scalar(value: object) -> str:
    """`value` on one line of YAML."""
    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True, width=_WIDTH).removesuffix("...\n").strip()
