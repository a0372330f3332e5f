"""YAML that remembers its lines, and YAML that is none."""

from __future__ import annotations

import pytest

from stream.settings.lined_yaml import read_yaml


def test_every_value_knows_the_line_of_its_key() -> None:
    document = read_yaml("a: 1\nb:\n  - x: 2\n    y:\n      3\n  - z\n")
    assert document.value == {"a": 1, "b": [{"x": 2, "y": 3}, "z"]}
    assert document.lines[("a",)] == 1
    assert document.lines[("b",)] == 2
    assert document.lines[("b", 0, "x")] == 3
    assert document.lines[("b", 0, "y")] == 4
    assert document.lines[("b", 1)] == 6


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("12", 12),
        ("2024-05-01", "2024-05-01"),
        ("v1.2", "v1.2"),
    ],
)
def test_numbers_are_numbers_and_dates_are_text(text: str, value: object) -> None:
    read = read_yaml(f"a: {text}").value
    assert read == {"a": value}
    assert isinstance(read, dict) and type(read["a"]) is type(value)


def test_a_key_given_twice_is_a_problem_on_its_second_line() -> None:
    assert read_yaml("a: 1\nb: 2\na: 3\n").problems == [(3, "a was given before, on line 1")]


def test_what_is_merged_in_can_be_overridden_and_is_no_duplicate() -> None:
    document = read_yaml("a: &base {x: 1, y: 2}\nb: {<<: *base, y: 3}\n")
    assert document.value == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}
    assert document.problems == []


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}"])
def test_a_value_that_holds_itself_does_not_hang(text: str) -> None:
    assert read_yaml(text).problems == [(1, "a value cannot hold itself")]


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a: 1\nb: [", 2, "not readable as YAML"),
        ("a: 1\n b: 2", 2, "column"),
        ("a: 1\n\tb: 2", 2, "not readable as YAML"),
        ("a: 1\nb: \x00", 2, "control character"),
        ("a: *nowhere", 1, "undefined alias"),
        ("a: 1\n---\nb: 2", 2, "another document"),
        ("a: !!python/name:os.system x", 1, "tag"),
        ("a: !mine x", 1, "tag"),
        ("a: " + "[" * 1000, 1, "nested too deeply"),
        ("? [a]\n: 1", 1, "a key must be a word"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line_and_raises_nothing(text: str, line: int, part: str) -> None:
    (problem,) = read_yaml(text).problems
    assert problem[0] == line and part in problem[1]


def test_a_tag_never_runs_code(tmp_path_factory: pytest.TempPathFactory) -> None:
    witness = tmp_path_factory.mktemp("x") / "ran"
    read_yaml(f"a: !!python/object/apply:os.system ['touch {witness}']")
    assert not witness.exists()


def test_an_empty_text_is_no_problem() -> None:
    assert read_yaml("").value is None
    assert read_yaml("# nothing\n").problems == []
