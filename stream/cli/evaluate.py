"""`peoplestream evaluate`: accuracy on labelled data, with the code that runs on streams."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track as show_progress
from rich.table import Table

from stream.cli.errors import CommandError, ExitCode

ROLES = ("detector", "pose", "masks")
SHORT = {
    "people_per_frame": "people",
    "detections_per_frame": "detections",
    "id_switches": "switches",
    "keypoint_ap": "keypoints",
    "mask_iou": "masks",
}
"""Headings of a table where the names in JSON are long."""

COCO_SETTINGS = ("detector.score=0.01", "detector.height=640", "detector.width=640")

evaluate_app = typer.Typer(help="Measure accuracy on labelled data.", no_args_is_help=True)
console = Console(stderr=True)

Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one option of the configuration.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object; fractions, not percent.")]


@evaluate_app.command("coco")
def coco(
    images: Annotated[Path, typer.Option(metavar="DIR", help="The folder with the pictures.")],
    annotations: Annotated[Path, typer.Option(metavar="FILE", help="COCO person_keypoints annotations.")],
    detector: Annotated[str | None, typer.Option(metavar="NAME", help="Instead of the configured detector.")] = None,
    pose: Annotated[str | None, typer.Option(metavar="NAME", help="Instead of the configured pose network.")] = None,
    masks: Annotated[str | None, typer.Option(metavar="NAME", help="Instead of the configured mask network.")] = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Box, keypoint and mask AP of persons, by pycocotools.

    Every score counts in AP, so the score floor is .01 here, and the detector's input is 640 x 640, unless --set says
    otherwise.
    """
    from models.evaluate.coco import CocoPersons
    from stream.measuring.evaluation import evaluate_coco
    from stream.settings import load_config

    named = [
        f"{role}.model={json.dumps(name)}" for role, name in zip(ROLES, (detector, pose, masks), strict=True) if name
    ]
    config = load_config(None, [*COCO_SETTINGS, *named, *(settings or [])])
    truth = CocoPersons(annotations, images)
    scores, assembly = evaluate_coco(
        config, truth, lambda of: show_progress(of, "looking at the images", console=console)
    )
    _tell_choices(assembly.choices)
    if as_json:
        rows = {kind: asdict(score) for kind, score in scores.items()}
        typer.echo(json.dumps({"images": len(truth.images), **rows}))
        return
    table = Table(box=None, header_style="dim", title=f"{len(truth.images)} images, persons only", title_justify="left")
    for column in ("", "AP", "AP50", "AR"):
        table.add_column(column, justify="right")
    for kind, score in scores.items():
        table.add_row(kind, *(f"{value:.3f}" for value in asdict(score).values()))
    Console().print(table)


@evaluate_app.command("mot")
def mot(
    gt: Annotated[Path, typer.Option(metavar="FILE", help="Ground truth in the format of MOTChallenge.")],
    video: Annotated[
        str | None, typer.Option(metavar="URI", help="The video it belongs to: measures the whole chain.")
    ] = None,
    detections: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Detections in MOT format: measures the tracker alone.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(help="Frame rate of the detections; by default that of the seqinfo.ini near them.")
    ] = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """HOTA, MOTA and IDF1 of the ids, by TrackEval: end to end on a video, or of the tracker alone.

    peoplestream evaluate mot --video vtest.avi --gt gt.txt

    peoplestream evaluate mot --detections det.txt --gt gt.txt
    """
    from stream.measuring.evaluation import evaluate_mot_detections, evaluate_mot_video
    from stream.settings import load_config

    if (video is None) == (detections is None):
        raise CommandError("give either --video URI (end to end) or --detections FILE (the tracker)", ExitCode.USAGE)
    config = load_config(None, settings or [], [] if video is None else [_with_an_end(video)])
    if detections is not None:
        scores, rate = evaluate_mot_detections(config, detections, gt, fps)
    else:
        with console.status("watching the video ..."):
            scores, rate, assembly = evaluate_mot_video(config, gt)
        _tell_choices(assembly.choices)
    row = {name: round(value, 4) for name, value in (asdict(scores) | {"fps": rate}).items()}
    if as_json:
        typer.echo(json.dumps(row))
        return
    table = Table(box=None, header_style="dim")
    for column in row:
        table.add_column(column, justify="right")
    table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)


@evaluate_app.command("compare")
def compare(
    configs: Annotated[list[Path], typer.Argument(metavar="CONFIG.yaml...", help="The first is what others lose to.")],
    video: Annotated[str, typer.Option(metavar="URI", help="What all of them watch, to its end.")],
    gt: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Its ground truth in the format of MOTChallenge: scores the ids."),
    ] = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Speed and accuracy of several configurations on one video, each beside the first.

    peoplestream evaluate compare configs/accurate.yaml configs/balanced.yaml configs/fast.yaml --video vtest.avi

    keypoints: COCO's AP with the keypoints of the first configuration as the truth. masks: mean IoU with its masks.
    """
    from stream.measuring.comparison import compare as run
    from stream.settings import load_config

    _with_an_end(video)
    loaded = {path.stem: load_config(path, settings or [], [video]) for path in configs}
    with console.status("watching the video ...") as status:
        rows = [row.as_json() for row in run(loaded, gt, lambda name: status.update(f"watching the video: {name} ..."))]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table(box=None, header_style="dim")
    for column in rows[0]:
        heading = SHORT.get(column, column)
        table.add_column(heading, justify="left" if column == "name" else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console().print(table)


def _with_an_end(source: str) -> str:
    """`source`, which will be watched to its end; one that has none, or is not there, is refused at once."""
    from stream.uri import is_live, local_path, missing, redact, scheme

    path = local_path(source)
    if path is not None and (absent := missing(path)):
        raise CommandError(absent, ExitCode.NO_FRAMES)
    if is_live(source):
        raise CommandError(f"--video {redact(source)}: a feed has no end; record it, and give the file", ExitCode.USAGE)
    if scheme(source) == "testpattern" and "?" not in source:
        raise CommandError(f"--video {source}: has no end; give it one, as in {source}?frames=100", ExitCode.USAGE)
    return source


def _cell(value: float | str | None) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def _tell_choices(choices: dict[str, Any]) -> None:
    for role, choice in choices.items():
        console.print(f"[dim]{role}: {choice.backend} {choice.precision} ({choice.reason})[/]", highlight=False)
