"""MOT files and scores: against TrackEval's own evaluation from files, and with files as people really have them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from models.errors import LabelsError
from models.evaluate.mot import (
    MotRows,
    MotSequence,
    evaluate_mot,
    read_detections,
    read_ground_truth,
    read_sequence_info,
)

SEQINFO = (
    "[Sequence]\nname={name}\nimDir=img1\nframeRate=14\nseqLength={frames}\nimWidth=640\nimHeight=480\nimExt=.jpg\n"
)
FRAMES = 40


def _file(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _walkers(seed: int, frames: int = FRAMES) -> tuple[list[str], list[str]]:
    """Lines of a ground truth, one person flagged 0, and of results that swap, miss and invent people."""
    random = np.random.default_rng(seed)
    start, speed = random.uniform(50, 400, (4, 2)), random.normal(0, 4, (4, 2))
    truth, results = [], []
    for frame in range(1, frames + 1):
        for person, (x, y) in enumerate(start + speed * frame):
            truth.append(f"{frame},{person + 1},{x:.2f},{y:.2f},40,100,{int(person != 3)},-1,-1,-1")
            if random.random() < 0.85:
                dx, dy = random.normal(0, 6, 2)
                name = person if frame < frames // 2 else (person + 1) % 4
                results.append(f"{frame},{10 * name + 7},{x + dx:.2f},{y + dy:.2f},41,97,0.9,-1,-1,-1")
        if random.random() < 0.2:
            results.append(f"{frame},{100 + frame},{random.uniform(0, 600):.2f},10,30,70,0.5,-1,-1,-1")
    return truth, results


def _sequence(folder: Path, truth: list[str], results: list[str], frames: int = FRAMES) -> MotSequence:
    return MotSequence(
        read_ground_truth(_file(folder / "gt.txt", *truth)),
        read_detections(_file(folder / "results.txt", *results)),
        frames,
    )


def _by_trackeval(folder: Path, cases: dict[str, tuple[list[str], list[str]]]) -> dict[str, float]:
    """What TrackEval says of files in its own layout, preprocessing for MOT15 included."""
    from trackeval import Evaluator
    from trackeval.datasets import MotChallenge2DBox
    from trackeval.metrics import CLEAR, HOTA, Identity

    for name, (truth, results) in cases.items():
        _file(folder / "gt" / name / "gt/gt.txt", *truth)
        _file(folder / "gt" / name / "seqinfo.ini", SEQINFO.format(name=name, frames=FRAMES))
        _file(folder / "trackers" / "ours" / "data" / f"{name}.txt", *results)
    quiet = {"PRINT_CONFIG": False}
    dataset = MotChallenge2DBox(
        quiet
        | {
            "GT_FOLDER": str(folder / "gt"),
            "TRACKERS_FOLDER": str(folder / "trackers"),
            "BENCHMARK": "MOT15",
            "SEQ_INFO": dict.fromkeys(cases),
            "SKIP_SPLIT_FOL": True,
        }
    )
    options = {"PRINT_RESULTS": False, "TIME_PROGRESS": False, "PLOT_CURVES": False, "OUTPUT_SUMMARY": False}
    evaluator = Evaluator(Evaluator.get_default_eval_config() | quiet | options | {"OUTPUT_DETAILED": False})
    (output, _) = evaluator.evaluate([dataset], [HOTA(), CLEAR(quiet), Identity(quiet)])
    combined = output["MotChallenge2DBox"]["ours"]["COMBINED_SEQ"]["pedestrian"]
    return {
        "HOTA": float(np.mean(combined["HOTA"]["HOTA"])),
        "MOTA": float(combined["CLEAR"]["MOTA"]),
        "IDF1": float(combined["Identity"]["IDF1"]),
        "id_switches": int(combined["CLEAR"]["IDSW"]),
    }


def test_the_scores_are_those_of_trackeval_from_files(tmp_path: Path) -> None:
    cases = {f"seq-{seed}": _walkers(seed) for seed in range(3)}
    expected = _by_trackeval(tmp_path / "trackeval", cases)
    scores = evaluate_mot(*(_sequence(tmp_path / name, *case) for name, case in cases.items()))
    assert scores.frames == 3 * FRAMES
    assert 0.2 < scores.HOTA < 0.9
    for name, value in expected.items():
        assert getattr(scores, name) == pytest.approx(value, abs=1e-12), name


def test_evaluating_leaves_no_files_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sequence = _sequence(tmp_path / "in", *_walkers(0))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    evaluate_mot(sequence)
    assert not list((tmp_path / "work").iterdir())
    assert capsys.readouterr() == ("", "")


def test_perfect_results_are_perfect_and_people_flagged_0_cost_nothing(tmp_path: Path) -> None:
    truth, _ = _walkers(0)
    kept = [line for line in truth if line.split(",")[1] != "4"]
    scores = evaluate_mot(_sequence(tmp_path, truth, kept))
    assert (scores.HOTA, scores.MOTA, scores.IDF1, scores.id_switches) == pytest.approx((1, 1, 1, 0))


def test_nobody_found_and_nobody_there_are_no_crash(tmp_path: Path) -> None:
    truth, results = _walkers(0)
    assert evaluate_mot(_sequence(tmp_path, truth, [])).MOTA == 0
    assert evaluate_mot(_sequence(tmp_path, [], results)).HOTA == 0
    assert evaluate_mot(_sequence(tmp_path, [], [])).IDF1 == 0


def test_results_in_arrays_count_as_those_in_files(tmp_path: Path) -> None:
    sequence = _sequence(tmp_path, *_walkers(0))
    frames = [(rows.ids, rows.boxes.astype(np.float32)) for rows in sequence.results.per_frame(FRAMES)]
    again = replace(sequence, results=MotRows.of(frames))
    np.testing.assert_array_equal(again.results.frames, sequence.results.frames)
    assert evaluate_mot(again).IDF1 == evaluate_mot(sequence).IDF1


def test_frames_without_anybody_are_not_skipped() -> None:
    nobody: npt.NDArray = np.zeros((0, 4))
    rows = MotRows.of([([], nobody), ([5], [[0, 0, 1, 1]]), ([], nobody)])
    assert [len(one) for one in rows.per_frame(4)] == [0, 1, 0, 0]
    assert rows.last_frame == 2
    assert MotRows.of([]).last_frame == 0


def test_lines_out_of_order_and_blank_lines_are_no_trouble(tmp_path: Path) -> None:
    path = _file(tmp_path / "det.txt", "3,-1,0,0,9,9,.5", "", "1,-1,10,20,30,40,.75,-1,-1,-1", "  ", "3,-1,1,1,9,9,.6")
    rows = read_detections(path)
    assert rows.frames.tolist() == [1, 3, 3]
    np.testing.assert_array_equal(rows.boxes[0], [10, 20, 40, 60])
    np.testing.assert_array_equal(rows.scores, [0.75, 0.5, 0.6])


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("2,1,10,20,30", "at least 7 values"),
        ("2,1,10,20,30,forty,1", "expected numbers"),
        ("2 1 10 20 30 40 1", "commas between, found 1"),
        ("2,1,10,20,nan,40,1", "finite numbers"),
        ("0,1,10,20,30,40,1", "frame at least 1"),
        ("2.5,1,10,20,30,40,1", "whole numbers"),
        ("2,1,10,20,0,40,1", "width and height must be above 0"),
        ("\x00\x01\x02", "at least 7 values"),
    ],
)
def test_a_malformed_line_is_named_by_file_and_line(tmp_path: Path, line: str, complaint: str) -> None:
    path = _file(tmp_path / "gt.txt", "1,1,10,20,30,40,1,-1,-1,-1", line)
    with pytest.raises(LabelsError, match=rf"gt\.txt:2: .*{complaint}"):
        read_ground_truth(path)


def test_a_missing_file_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match=r"cannot read .*absent\.txt: No such file"):
        read_detections(tmp_path / "absent.txt")
    with pytest.raises(LabelsError, match=r"cannot read .*seqinfo\.ini: No such file"):
        read_sequence_info(tmp_path / "seqinfo.ini")


def test_a_person_twice_in_a_frame_is_refused(tmp_path: Path) -> None:
    once = "1,7,10,20,30,40,1"
    with pytest.raises(LabelsError, match="in the results person 7 stands more than once in frame 1"):
        _sequence(tmp_path, [once], [once, once])
    with pytest.raises(LabelsError, match="in the ground truth person 7"):
        _sequence(tmp_path, [once, once], [once])


def test_rows_behind_the_last_frame_are_not_dropped_silently(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="the results reach frame 41, but the sequence has 40 frames"):
        _sequence(tmp_path, [], ["41,7,10,20,30,40,1"])


def test_the_frame_rate_of_a_sequence_is_read_from_its_seqinfo(tmp_path: Path) -> None:
    info = read_sequence_info(_file(tmp_path / "seqinfo.ini", SEQINFO.format(name="a", frames=354)))
    assert (info.fps, info.frames, info.width, info.height) == (14.0, 354, 640, 480)


@pytest.mark.parametrize("content", ["", "[Sequence]\nframeRate=14", SEQINFO.replace("14", "fast"), "frameRate=14"])
def test_a_seqinfo_without_its_numbers_is_one_clear_sentence(tmp_path: Path, content: str) -> None:
    with pytest.raises(LabelsError, match=r"seqinfo\.ini: expected \[Sequence\] with numbers for frameRate"):
        read_sequence_info(_file(tmp_path / "seqinfo.ini", content))
