"""YAML as plain values that remember their lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where a value stands: ("streams", 0, "id")."""

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"


@dataclass(slots=True)
class Document:
    """What a YAML text says.

    Attributes:
        value: mappings, lists and scalars; None for an empty text.
        lines: the line of every value, that of its key where it has one; from 1.
        problems: what is wrong with it, each with its line.
    """

    value: Plain = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)


class _Loader(yaml.SafeLoader):
    """Safe YAML, of its version 1.2 where 1.1 surprises: `1e-3` is a number, a date is text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":float"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\.\d+|\d+\.\d*|\d+(?=[eE]))(?:[eE][-+]?\d+)?$|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"),
    list("-+.0123456789"),
)


def read_yaml(text: str) -> Document:
    """Read one YAML document. What is wrong is told in the document's problems; nothing is raised."""
    document = Document()
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            document.value = _Reading(loader, document).plain(node, (), ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        column = f" (column {mark.column + 1})" if mark else ""
        document.problems.append((mark.line + 1 if mark else 1, f"not readable as YAML: {error.problem}{column}"))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.problems.append((line, "not readable as YAML: it holds a control character"))
    except RecursionError:
        document.problems.append((1, "not readable as YAML: nested too deeply"))
    finally:
        if loader is not None:
            loader.dispose()
    return document


class _Reading:
    """One walk over the nodes of a document."""

    def __init__(self, loader: _Loader, document: Document) -> None:
        self._loader = loader
        self._document = document

    def plain(self, node: yaml.Node, path: KeyPath, above: tuple[yaml.Node, ...]) -> Plain:
        """The value of `node`, which stands at `path` inside the nodes `above`."""
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if node in above:
            self._problem(node, "a value cannot hold itself")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, (*above, node))
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, (*path, i), (*above, node)) for i, item in enumerate(node.value)]
        value: Plain = self._loader.construct_object(node)
        return value

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, above: tuple[yaml.Node, ...]) -> Plain:
        self._find_duplicates(node)
        self._loader.flatten_mapping(node)  # what `<<` merges in comes first, so that own keys override it
        mapping: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, "a key must be a word")
                continue
            key: str = key_node.value
            self._document.lines[(*path, key)] = key_node.start_mark.line + 1
            mapping[key] = self.plain(value_node, (*path, key), above)
        return mapping

    def _find_duplicates(self, node: yaml.MappingNode) -> None:
        seen: dict[str, int] = {}
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                line = key_node.start_mark.line + 1
                if key_node.value in seen:
                    self._problem(key_node, f"{key_node.value} was given before, on line {seen[key_node.value]}")
                seen.setdefault(key_node.value, line)

    def _problem(self, node: yaml.Node, message: str) -> None:
        self._document.problems.append((node.start_mark.line + 1, message))
