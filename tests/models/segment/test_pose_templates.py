"""Pose templates: what is found by k-means, and what is read from files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models.errors import CheckpointError
from models.segment.pose_templates import NAMES, cluster_poses, load_templates, save_templates
from models.tasks import Float
from tests.models.segment.people import boxes_of, standing


def crowd() -> tuple[Float, Float]:
    """Thirty people standing, and thirty of whom the legs are not seen; with COCO's flags."""
    random = np.random.default_rng(0)
    people = np.array([standing((300, 300), size) for size in random.uniform(100, 300, 60)])
    people[..., :2] += random.normal(0, 2, (60, 17, 2))
    people[..., 2] = 2
    boxes = boxes_of(people, 0)
    people[30:, 13:] = 0
    boxes[30:] = boxes_of(people[30:, :13], 0)
    return people, boxes


def written(path: Path, **changes: object) -> Path:
    """A file like Pose2Seg's own, with `changes`."""
    content = {"names": NAMES, "vis_threshold": 0.4, "connections": [[16, 14]], "flip_map": {"left_eye": "right_eye"}}
    path.write_text(json.dumps(content | {"templates": [[0.5] * 51]} | changes))
    return path


def test_the_package_lacks_the_template_of_a_whole_body_an_upper_body_or_a_back() -> None:
    templates = load_templates()
    assert templates.points.shape == (6, 17, 2)
    lacking = {tuple(np.flatnonzero(~valid)) for valid in templates.valid}
    assert lacking == {(), (0, 1, 2), (13, 14, 15, 16)}
    valid = templates.points[templates.valid]
    assert valid.min() > 0.1 and valid.max() < 0.9


def test_the_second_half_is_mirrored_in_place_too() -> None:
    """It has left for right, but stays where it is: a person seen from behind."""
    templates = load_templates()
    assert (templates.points[3:, 5] == templates.points[:3, 6]).all()
    assert (templates.points[3:, 0] == templates.points[:3, 0]).all()
    assert not (templates.points[3:] == templates.points[:3]).all()


def test_whole_people_and_upper_bodies_fall_into_one_cluster() -> None:
    clusters = cluster_poses(*crowd(), count=2)
    flags = clusters[:, 13:, 2].mean(1)
    assert sorted(flags.round(3).tolist()) == [0, 2]
    whole = clusters[flags.argmax()]
    assert np.abs(whole[5, 0] + whole[6, 0] - 1) < 0.01  # mirror images are in it
    assert 0.9 < whole[15, 1] <= 1 and whole[0, 1] < 0.1


def test_the_same_people_give_other_templates_the_next_time() -> None:
    assert (cluster_poses(*crowd()) == cluster_poses(*crowd())).all()


def test_too_few_people_give_clusters_of_nobody() -> None:
    people, boxes = crowd()
    people[:, 7:] = 0
    with pytest.raises(ValueError, match="3 templates need more than 0 poses of 8 labelled keypoints"):
        cluster_poses(people, boxes)
    alike = np.repeat(crowd()[0][:1], 4, 0)
    with pytest.raises(ValueError, match="4 poses do not fall into 8 clusters"):
        cluster_poses(alike, boxes_of(alike), count=8)


def test_written_templates_are_read_as_others(tmp_path: Path) -> None:
    clusters = cluster_poses(*crowd())
    save_templates(tmp_path / "mine.json", clusters)
    templates = load_templates(tmp_path / "mine.json")
    assert np.abs(templates.points[:3] - clusters[..., :2]).max() <= 5.1e-5
    assert (templates.valid[:3] == (clusters[..., 2] >= 0.4)).all()


def test_the_authors_own_file_is_refused(tmp_path: Path) -> None:
    assert load_templates(written(tmp_path / "templates.json")).points.shape == (2, 17, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": NAMES[::-1]}, "17 keypoints in their order"),
        ({"templates": []}, "17 keypoints in their order"),
        ({"templates": [[float("nan")] * 51]}, "17 keypoints in their order"),
        ({"templates": [[0.5] * 50]}, "does not hold pose templates"),
        ({"templates": None}, "does not hold pose templates"),
        ({"vis_threshold": "low"}, "does not hold pose templates"),
    ],
)
def test_other_content_than_templates_is_taken_for_them(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_templates(written(tmp_path / "templates.json", **changes))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "<html>"])
def test_a_file_of_another_kind_ends_in_a_traceback(tmp_path: Path, text: str) -> None:
    (tmp_path / "templates.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"templates\.json does not hold pose templates"):
        load_templates(tmp_path / "templates.json")
