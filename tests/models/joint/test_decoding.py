from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from models.joint.decoding import MOST, Maps, hough, move, peaks, resize
from models.joint.grouping import group
from models.joint.masks import NOBODY, label, owners
from tests.models.joint.scenes import GOLDEN, Scene, crowd, scene

EXPECTED = np.load(Path(__file__).parent / "golden" / "personlab_decoding.npz")


def maps_of(of: Scene) -> Maps:
    heat, short, mid, long, person = (torch.from_numpy(part) for part in of.maps)
    pairs = [part.unflatten(0, (-1, 2)) for part in (short, mid, long)]
    return Maps(heat, *pairs, person[0], of.stride)


def people_of(maps: Maps) -> np.ndarray:
    return group(peaks(hough(maps.heat, maps.short, maps.stride)), maps.mid, maps.short, maps.stride)


@pytest.fixture(scope="module", params=list(GOLDEN))
def golden(request: pytest.FixtureRequest) -> tuple[str, Maps]:
    return request.param, maps_of(GOLDEN[request.param]())


def test_the_votes_are_those_of_the_original(golden: tuple[str, Maps]) -> None:
    name, maps = golden
    votes = hough(maps.heat, maps.short, maps.stride)
    np.testing.assert_allclose(votes[:, ::20, ::20], EXPECTED[f"{name}.votes"], rtol=0, atol=1e-4)


def test_the_people_are_those_of_the_original(golden: tuple[str, Maps]) -> None:
    name, maps = golden
    np.testing.assert_allclose(people_of(maps), EXPECTED[f"{name}.people"], rtol=0, atol=1e-4)


def test_whose_a_pixel_is_the_original_says_too(golden: tuple[str, Maps]) -> None:
    name, maps = golden
    people, expected = EXPECTED[f"{name}.people"], EXPECTED[f"{name}.labels"]
    inside = resize(maps.person, maps.stride) > 0.5
    exact = owners(inside.nonzero(), people, maps).numpy()
    assert (exact == expected[inside.numpy()]).mean() > 0.9999
    assert (label(people, maps) == expected).mean() > 0.9999


def test_a_sample_of_the_coarse_map_is_one_of_the_resized_map() -> None:
    random = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, 2, 5, 7, generator=random)
    fine = resize(coarse, 16)
    points = torch.rand(1, 2, 500, generator=random) * torch.tensor([[110.0], [75.0]]) - 7
    torch.testing.assert_close(move(points, coarse, 16, 1), move(points, fine, 1, 1), rtol=0, atol=1e-4)


def test_offsets_outside_of_the_image_are_zero() -> None:
    ones = torch.ones(1, 2, 3, 3)
    points = torch.tensor([[[-0.1, 0.0, 32.0, 32.1, 5.0], [5.0, 32.0, 0.0, 5.0, -40.0]]])
    assert (move(points, ones, 16, 1) - points)[0, 0].round(decimals=3).tolist() == [0, 1, 1, 0, 0]


def test_an_image_without_people_has_none() -> None:
    maps = maps_of(scene(crowd(0)))
    people = people_of(maps)
    assert people.shape == (0, 17, 3)
    assert (label(people, maps) == NOBODY).all()


@pytest.mark.parametrize(("count", "height"), [(10, 170.0), (60, 70.0)])
def test_everybody_in_a_crowd_is_found(count: int, height: float) -> None:
    truth = crowd(count, (641, 961), height, seed=count)
    found = people_of(maps_of(scene(truth, (641, 961), stride=8, seed=count)))
    away = np.linalg.norm(found[:, None, :, :2] - truth[None], axis=-1).mean(-1)
    assert (away.min(0) < 5).all()


def test_ten_people_who_hide_each_other_keep_their_own_masks() -> None:
    middle = crowd(10, height=170, seed=10)
    squeezed = middle * [0.75, 1] + [50, 0]  # neighbours overlap by a quarter of their width
    of = scene(squeezed, stride=8, seed=10)
    maps = maps_of(of)
    found = people_of(maps)
    away = np.linalg.norm(found[:, None, :, :2] - squeezed[None], axis=-1).mean(-1)
    nearest = away.argmin(0)
    assert (away.min(0) < 8).all()
    labels = label(found[nearest], maps)
    for person in range(10):
        ours, theirs = labels == person, of.labels == person
        assert (ours & theirs).sum() / (ours | theirs).sum() > 0.5


def test_a_person_whom_the_border_cuts_is_found_with_what_is_seen() -> None:
    person = crowd(1, height=300, seed=2)
    person += [0, 200]
    found = people_of(maps_of(scene(person, seed=2)))
    assert len(found) == 1
    seen = person[0, :, 1] < 390
    assert 5 < seen.sum() < 12
    assert (found[0, seen, 2] > 0).all()
    assert (np.linalg.norm(found[0, seen, :2] - person[0, seen], axis=1) < 8).all()
    assert (found[0, ..., :2] >= 0).all()
    assert (found[0, ..., :2] <= 400).all()


def test_noise_as_a_random_network_may_give_is_decoded_in_bounded_time() -> None:
    random = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return 20 * torch.randn(*shape, 2, 51, 51, generator=random)

    maps = Maps(torch.rand(17, 51, 51, generator=random), noise(17), noise(32), noise(17), torch.ones(51, 51), 16)
    started = time.thread_time()
    votes = hough(maps.heat, maps.short, maps.stride)
    found = peaks(votes)
    assert found.shape == (17, MOST, 3)
    people = group(found, maps.mid, maps.short, maps.stride)[:100]
    assert len(people) > 10
    assert label(people, maps).shape == (801, 801)
    assert time.thread_time() - started < 10


@pytest.mark.parametrize(("apart", "people"), [(9.0, 1), (11.0, 2)])
def test_who_has_a_keypoint_of_somebody_within_ten_pixels_is_the_same_person(apart: float, people: int) -> None:
    found = np.zeros((17, 2, 3), np.float32)
    found[:, 0], found[:, 1] = (50, 50, 0.9), (50 + apart, 50, 0.8)
    still = torch.zeros(32, 2, 9, 9)
    assert len(group(found, still, still[:17], 16)) == people


@pytest.mark.parametrize(("row", "highest"), [(10, [10]), (11, [0, 11])])
def test_a_peak_on_the_border_looks_ten_rows_into_the_image(row: int, highest: list[int]) -> None:
    votes = np.zeros((1, 401, 401), np.float32)
    votes[0, 0, 200], votes[0, row, 200] = 0.1, 0.2
    assert sorted(peaks(votes)[0, :, 1].tolist()) == highest


def test_votes_beyond_every_border_are_dropped() -> None:
    heat = torch.ones(1, 3, 3)
    for x, y in ((-1e6, 0.0), (1e6, 0.0), (0.0, -1e6), (0.0, 1e6)):
        short = torch.tensor([x, y]).view(1, 2, 1, 1).expand(1, 2, 3, 3).contiguous()
        assert not hough(heat, short, 16).any()


def test_votes_that_are_the_same_everywhere_make_a_bounded_number_of_peaks() -> None:
    assert peaks(np.full((17, 401, 401), 0.5, np.float32)).shape == (17, MOST, 3)
