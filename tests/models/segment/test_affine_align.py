"""Everybody's features, turned so that the pose lies on a template: as the original does it, for any pose."""

from __future__ import annotations

import numpy as np
import pytest

from models.segment.affine_align import align, sample
from models.segment.pose_templates import PoseTemplates, load_templates
from models.tasks import Float
from tests.oracles.pose2seg_golden import CHANNELS, GOLDEN, clusters, features, poses

WHOLE = [[0.5, 0, 0], [0, 0.5, 0]]


@pytest.fixture(scope="module")
def templates() -> PoseTemplates:
    return load_templates()


def test_people_are_laid_over_another_template_than_the_originals(templates: PoseTemplates) -> None:
    """Compared where the keypoints come to lie, in the unit square: the original solves in single precision."""
    with np.load(GOLDEN) as golden:
        expected = golden["matrices"]
    people = poses()
    matrices = align(people, templates)
    points = np.concatenate([people[..., :2], np.ones((len(people), 17, 1))], -1)
    apart = np.abs(points @ (matrices - expected).swapaxes(1, 2)) / 64
    assert apart[people[..., 2] > 0].max() < 1e-4
    assert 5 < (matrices == WHOLE).all((1, 2)).sum() < 20


def test_features_are_sampled_with_the_grid_of_a_newer_torch() -> None:
    """The default of `align_corners` changed in 1.3; by it the features would move by up to half a pixel."""
    with np.load(GOLDEN) as golden:
        matrices, expected = golden["matrices"][::6].astype(np.float64), golden["squares"]
    owners = np.arange(len(matrices)) % 2
    squares = sample(features(), owners, matrices)
    assert squares.shape == (len(matrices), 64, 64, CHANNELS)
    assert np.abs(squares.transpose(0, 3, 1, 2)[:, :, ::5, ::5] - expected).max() < 1e-4


def test_a_pose_turned_and_scaled_does_not_come_back_upright(templates: PoseTemplates) -> None:
    template = clusters()[0]
    for degrees, size in ((0, 90), (40, 60), (-170, 120)):
        turn = size * np.array(
            [[np.cos(np.radians(degrees)), -np.sin(np.radians(degrees))],
             [np.sin(np.radians(degrees)), np.cos(np.radians(degrees))]]
        )  # fmt: skip
        pose = np.column_stack([template[:, :2] @ turn.T + (70, 50), np.full(17, 2)]).astype(np.float32)
        (matrix,) = align(pose[None], templates)
        aligned = pose[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        assert np.abs(aligned - template[:, :2] * 64).max() < 1e-3


def test_a_visible_knee_is_laid_over_a_template_without_knees() -> None:
    upper = np.concatenate([clusters()[0, :11], np.zeros((6, 3))])[None]
    pose = (clusters()[0] * (60, 60, 1)).astype(np.float32)
    assert (align(pose[None], PoseTemplates.of_clusters(upper, 0.4)) == WHOLE).all()
    pose[11:] = 0
    assert (align(pose[None], PoseTemplates.of_clusters(upper, 0.4)) != WHOLE).any()


@pytest.mark.parametrize("visible", [0, 1, 2])
def test_two_keypoints_decide_the_turn_of_a_person(templates: PoseTemplates, visible: int) -> None:
    pose = (clusters()[0] * (60, 60, 1)).astype(np.float32)
    pose[visible:] = 0
    assert (align(pose[None], templates) == WHOLE).all()


def test_a_person_larger_than_the_square_is_made_smaller_than_without_template(templates: PoseTemplates) -> None:
    pose = (clusters()[0] * (129, 129, 1)).astype(np.float32)
    assert (align(pose[None], templates) == WHOLE).all()
    assert (align((pose * (0.9, 0.9, 1)).astype(np.float32)[None], templates) != WHOLE).any()


def test_keypoints_in_one_place_give_an_infinite_matrix(templates: PoseTemplates) -> None:
    with np.errstate(all="raise", under="ignore"):
        assert (align(np.full((1, 17, 3), 30, np.float32), templates) == WHOLE).all()


def test_an_empty_street_has_no_shape(templates: PoseTemplates) -> None:
    nobody = np.zeros((0, 17, 3), np.float32)
    matrices = align(nobody, templates)
    assert matrices.shape == (0, 2, 3)
    assert sample(features(), np.zeros(0, np.intp), matrices).shape == (0, 64, 64, CHANNELS)


def test_a_square_beside_the_features_reads_those_of_the_next_image() -> None:
    images: Float = np.ones((2, 128, 128, 4), np.float32)
    images[1] = 5
    beside = np.array([[[1.0, 0, -200], [0, 1, 0]], [[1, 0, 0], [0, 1, 1e9]], [[1, 0, 5], [0, 1, 0]]])
    squares = sample(images, np.array([0, 1, 1]), beside)
    assert not squares[:2].any()
    assert set(np.unique(squares[2]).round(3)) >= {0.0, 5.0} and squares[2].max() <= 5.001


def test_people_influence_each_other(templates: PoseTemplates) -> None:
    people = poses()
    together = align(people, templates)
    assert (together == np.concatenate([align(person[None], templates) for person in people])).all()
