"""What a person can get wrong on the command lines of the benchmarks: refused at once, in a sentence."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import arguments
from benchmarks.measure import ROOT, FailedError
from models.errors import WeightsError


def said(program: str, given: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """The last line that a program leaves with, and not with 0."""
    monkeypatch.setattr(sys, "argv", [f"{program}.py", *given])
    with pytest.raises(SystemExit) as left:
        import_module(f"benchmarks.{program}").main()
    assert left.value.code
    return left.value.code if isinstance(left.value.code, str) else capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("program", "given", "sentence"),
    [
        ("gpu_check", ["--out", "file/x/y.json"], "cannot write file/x/y.json (Not a directory): name another file"),
        ("gpu_check", ["--weights", "nodir"], "no such file or folder: nodir"),
        ("gpu_check", ["--images", "nodir"], "no such file or folder: nodir"),
        ("gpu_check", ["--minutes", "0"], "'0' is not a number above 0"),
        ("gpu_check", ["--only", "speed"], "invalid choice: 'speed' (choose from 'environment', 'ceilings'"),
        ("report", ["--to", "file/x/y.md"], "cannot write file/x/y.md"),
        ("report", ["--results", "nodir"], "no such file or folder: nodir"),
        ("report", ["--page", "nopage.md"], "no such file or folder: nopage.md"),
        ("rtx_check", ["nope"], "no model called 'nope'"),
        ("half_precision", ["nope"], "no model called 'nope'"),
        ("streams_held", ["no.avi"], "no such file or folder: no.avi"),
        ("streams_held", ["file"], "file cannot be opened as a video (Invalid data found when processing input)"),
        ("streams_held", ["."], ". is not a file: name one"),
        ("memory", ["no.avi"], "no such file or folder: no.avi"),
        ("peers", ["no.avi"], "no such file or folder: no.avi"),
        ("tracker", ["nodir"], "no such file or folder: nodir"),
        ("tracker", ["."], ". holds no sequence"),
        ("tracker", [".", "--rounds", "0"], "'0' is not a whole number of at least 1"),
        ("masks", ["no.avi", "nodir"], "no such file or folder: no.avi"),
        ("masks", ["testpattern://64x64@5", "--set", "detektor.score=1"], "detektor"),
        ("outputs_picture", ["no.avi"], "no such file or folder: no.avi"),
        ("outputs_picture", ["file", "--seconds", "-1"], "'-1' is not a number of at least 0"),
        ("overlay_picture", ["--out", "out.json"], "out.json is no name of a picture: let it end in .png"),
        ("overlay_picture", ["--out", "file/out.png"], "cannot write file/out.png"),
        ("pose_templates", ["no.json", "-o", "x.json"], "no such file or folder: no.json"),
        ("pose_templates", ["file", "-o", "x.json"], "file holds no annotations"),
        ("pose_templates", ["empty.json", "-o", "x.json"], "3 templates need more than 0 poses"),
        ("bookkeeping", ["--rounds", "0"], "'0' is not a whole number of at least 1"),
        ("personlab", ["--people", "-5"], "'-5' is not a whole number of at least 1"),
        ("pose2seg", ["--people", "many"], "'many' is not a whole number of at least 1"),
        ("run", ["--quick", "presets", "--data", "nodir"], "no such file or folder: nodir"),
        ("run", ["--results", "file/results"], "cannot write in file/results (Not a directory): name another folder"),
    ],
)
def test_a_mistake_is_found_late_or_explained_by_a_traceback(
    program: str,
    given: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("nothing of use")
    Path("empty.json").write_text('{"annotations": []}')
    assert sentence in said(program, given, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("program", "option", "value"),
    [
        ("peers", "--frames", "-5"),
        ("peers", "--rounds", "0"),
        ("peers", "--threads", "0"),
        ("peers", "--ultralytics-weights", "no.pt"),
        ("streams_held", "--seconds", "0"),
        ("streams_held", "--warm", "-1"),
        ("streams_held", "--most", "1.5"),
        ("streams_held", "--attempts", "0"),
        ("memory", "--streams", "1,a"),
        ("memory", "--streams", ""),
        ("memory", "--seconds", "nan"),
    ],
)
def test_a_number_of_no_use_is_found_when_it_is_used(
    program: str, option: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"argument {option}: " in said(program, [option, value, "no.avi"], monkeypatch, capsys)


def test_a_table_of_nobody_passes_for_a_measurement(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ("detector.weights=random", "detector.height=64", "detector.width=64")
    changes = [word for change in (*small, "pose.model=null", "masks.model=null") for word in ("--set", change)]
    given = ["testpattern://64x64@5?frames=2", *changes]
    assert "nobody had a mask in any frame" in said("masks", given, monkeypatch, capsys)


@pytest.mark.parametrize("program", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda program: program.stem)
def test_a_new_option_takes_any_number(program: Path) -> None:
    assert not {"type=int", "type=float"} & set(program.read_text(encoding="utf-8").replace(",", " ").split())


def test_trying_whether_a_file_can_be_written_leaves_one_or_changes_one(tmp_path: Path) -> None:
    new, old = tmp_path / "made" / "new.json", tmp_path / "old.json"
    old.write_text("of last year")
    assert arguments.writable_file(str(new)) == new and new.parent.is_dir() and not new.exists()
    assert arguments.writable_file(str(old)) == old and old.read_text() == "of last year"
    assert arguments.writable_folder(str(tmp_path)) == tmp_path and len(list(tmp_path.iterdir())) == 2
    with pytest.raises(argparse.ArgumentTypeError, match="Is a directory"):
        arguments.writable_file(str(tmp_path))


@pytest.mark.parametrize(
    ("of", "text", "value"),
    [
        (arguments.count, "1", 1),
        (arguments.counts, "1,2,8", (1, 2, 8)),
        (arguments.positive, "0.5", 0.5),
        (arguments.not_negative, "0", 0.0),
    ],
)
def test_a_number_that_is_right_is_refused(of: Callable[[str], object], text: str, value: object) -> None:
    assert of(text) == value


@pytest.mark.parametrize("error", [FailedError("no"), WeightsError("no"), PermissionError("no")])
def test_what_somebody_can_mend_is_a_traceback_or_passes(error: Exception) -> None:
    @arguments.explained
    def main() -> None:
        raise error

    with pytest.raises(SystemExit, match=": error: no"):
        main()


def test_a_mistake_of_ours_loses_its_traceback() -> None:
    @arguments.explained
    def main() -> None:
        raise AssertionError

    with pytest.raises(AssertionError):
        main()


def test_the_default_of_a_file_litters_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import gpu_check

    ignored = (ROOT / ".gitignore").read_text().split()
    assert gpu_check._parser().get_default("out").split("/")[0] + "/" in ignored
