"""Drawing: everybody is where the result says, in a colour that stays, and nothing else changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from stream.sinks import Rate, Style, Trails, draw
from stream.sinks.palette import colour_of
from stream.types import UNTRACKED, FrameResult, Image, Mask, People
from tests.stream.wire.samples import make_result

SIZE = (300, 400)
PLAIN = Style(caption=False)
NOWHERE: Mapping[int, np.ndarray] = {}


def grey(height: int = 300, width: int = 400) -> Image:
    return np.full((height, width, 3), 100, np.uint8)


def somebody(
    box: tuple[float, float, float, float] = (100, 80, 160, 240),
    *,
    id_: int = 4,
    keypoints: np.ndarray | None = None,
    mask: Mask | None = None,
    predicted: bool = False,
) -> FrameResult:
    people = People.untracked(
        np.array([box], np.float32),
        np.ones(1, np.float32),
        np.zeros((1, 17, 3), np.float32) if keypoints is None else keypoints,
        (mask,) if mask else (),
        frame_size=SIZE,
    )
    people = replace(people, ids=np.array([id_]), predicted=np.array([predicted]))
    return replace(make_result(size=SIZE), people=people)


def changes(image: Image, result: FrameResult, style: Style = PLAIN) -> np.ndarray:
    """Where drawing changes the image, bool [H, W]."""
    return (draw(image, result, NOWHERE, style) != image).any(axis=2)


def test_the_frame_itself_is_drawn_into() -> None:
    image = grey()
    assert (draw(image, somebody(), NOWHERE) != image).any()
    assert (image == 100).all()


def test_a_frame_without_people_changes() -> None:
    nobody = replace(make_result(size=SIZE), people=People.none(SIZE))
    assert not changes(grey(), nobody).any()
    caption = changes(grey(), nobody, Style())
    assert caption.any() and not caption[:250].any() and not caption[:, 250:].any()
    with_rate = (draw(grey(), nobody, NOWHERE, fps=24.9) != grey()).any(axis=2)
    assert with_rate.sum() > 1.2 * caption.sum()


def test_a_mask_tints_what_is_not_of_it() -> None:
    window = np.zeros((60, 40), np.bool_)
    window[20:40, 10:30] = True
    drawn = draw(grey(), somebody((0, 0, 1, 1), id_=UNTRACKED, mask=Mask.encode(window, (200, 100))), NOWHERE, PLAIN)
    tinted = (drawn != 100).any(axis=2)
    tinted[:5, :5] = False  # the box
    assert tinted[120:140, 210:230].all()
    outside = tinted.copy()
    outside[118:142, 208:232] = False  # the outline is antialiased
    assert not outside.any()
    blend = 0.55 * 100 + 0.45 * np.array(colour_of(UNTRACKED))
    assert np.abs(drawn[130, 220] - blend).max() <= 1


@pytest.mark.parametrize("origin", [(-20, -30), (380, 280), (-500, 10), (10, 900), (-100, -100)])
def test_a_mask_at_the_border_is_drawn_somewhere_else(origin: tuple[int, int]) -> None:
    mask = Mask.encode(np.ones((60, 40), np.bool_), origin)
    tinted = changes(grey(), somebody((-9, -9, -8, -8), mask=mask))
    expected = mask.decode(*SIZE)
    assert tinted[expected].all() and tinted.sum() <= expected.sum() + 2 * 102


def test_limbs_that_are_not_there_are_drawn() -> None:
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoints[0, 5] = (110, 120, 0.9)  # left shoulder
    keypoints[0, 7] = (130, 160, 0.9)  # left elbow
    keypoints[0, 9] = (390, 290, 0.1)  # left wrist: a guess
    without, with_arm = changes(grey(), somebody()), changes(grey(), somebody(keypoints=keypoints))
    arm = with_arm & ~without
    assert arm[140, 120] and not arm[:, 140:].any() and not arm[170:].any()


def test_whoever_was_not_looked_at_in_a_frame_flickers_like_somebody_hidden() -> None:
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoints[0, 5], keypoints[0, 7] = (110, 120, 0.9), (130, 160, 0.9)
    seen, carried = (somebody(keypoints=keypoints, predicted=predicted) for predicted in (False, True))
    assert (changes(grey(), seen) == changes(grey(), carried)).all()
    hidden = somebody(predicted=True)
    assert hidden.people.hidden.all() and not carried.people.hidden.any()


def test_drawing_writes_beyond_the_frame_or_fails_there() -> None:
    far = 3.4e38
    for box in ((-far, -far, far, far), (390, 290, 500, 400), (-50, -50, -10, -10), (5, 5, 4, 4), (0, 0, 0, 0)):
        keypoints = np.full((1, 17, 3), far, np.float32)
        draw(grey(), somebody(box, keypoints=keypoints), {4: np.full((5, 2), far, np.float32)})


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8), (64, 64), (1080, 1920)])
def test_a_frame_of_another_size_cannot_be_drawn(size: tuple[int, int]) -> None:
    result = make_result(people=8, size=size)
    drawn = draw(grey(*size), result, Trails().update(result))
    assert drawn.shape == (*size, 3) and drawn.dtype == np.uint8


def test_a_label_leaves_the_frame() -> None:
    """The plate of somebody at the very top, left or right is moved into the frame, whole."""
    plates = []
    for box in ((100, 100, 160, 240), (-30, 0, 10, 50), (390, 0, 430, 50)):
        drawn = draw(grey(), somebody(box), NOWHERE, PLAIN)
        plates.append((drawn == colour_of(4)).all(axis=2).sum())
    assert min(plates) >= 0.9 * plates[0] > 0


def test_a_label_hides_another() -> None:
    people = [somebody((100 + 9 * i, 80, 160 + 9 * i, 240 + i), id_=i + 1).people for i in range(4)]
    crowd = replace(
        people[0],
        boxes=np.concatenate([p.boxes for p in people]),
        ids=np.arange(1, 5),
        scores=np.ones(4, np.float32),
        keypoints=np.zeros((4, 17, 3), np.float32),
        predicted=np.zeros(4, np.bool_),
    )
    alone = [
        (draw(grey(), replace(somebody(), people=p), NOWHERE, PLAIN) == colour_of(i + 1)).all(axis=2).sum()
        for i, p in enumerate(people)
    ]
    together = draw(grey(), replace(somebody(), people=crowd), NOWHERE, PLAIN)
    for i in range(4):
        assert (together == colour_of(i + 1)).all(axis=2).sum() > 0.8 * alone[i]


def test_two_people_look_alike_or_one_changes_colour() -> None:
    colours = [colour_of(i) for i in range(1, 40)]
    assert colours[3] == colour_of(4)
    assert len(set(colours)) == len(colours)
    for one, other in pairwise(colours):
        assert np.abs(np.subtract(one, other)).max() > 40
    for apart in (8, 13):  # where the hues come close
        assert min(np.abs(np.subtract(colours[i], colours[i + apart])).max() for i in range(26)) > 25
    luma = np.array(colours) @ [0.114, 0.587, 0.299]
    assert luma.min() > 110  # dark text is readable on each
    blue, green, red = colour_of(UNTRACKED)
    assert max(blue, green, red) - min(blue, green, red) <= 1


def test_a_trail_is_lost_or_never_ends() -> None:
    trails = Trails(seconds=1.0)
    for step in range(30):
        result = replace(somebody((10.0 * step, 0, 10.0 * step + 20, 50)), pts=step / 10)
        seen = trails.update(result)
    assert seen[4].shape == (11, 2) and seen[4].dtype == np.float32
    assert (np.diff(seen[4][:, 0]) > 0).all() and (seen[4][:, 1] == 50).all()
    gone = replace(somebody(id_=9), pts=3.5)
    assert set(trails.update(gone)) == {4, 9}
    assert set(trails.update(replace(gone, pts=5.0))) == {9}
    assert set(trails.update(replace(gone, epoch=1, pts=5.0, people=somebody(id_=UNTRACKED).people))) == set()


def test_a_trail_jumps_with_the_lower_edge_of_the_box() -> None:
    """Boxes lose the legs now and then; the ankles stay, and where they are not seen either the trail is smoothed."""
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoints[0, 15:] = [(120, 235, 0.9), (140, 231, 0.9)]
    for ankles, deepest in ((keypoints, 0.0), (None, 30.0)):
        trails = Trails()
        for step in range(40):
            bottom = 240 if step % 5 else 180
            seen = trails.update(replace(somebody((100, 80, 160, bottom), keypoints=ankles), pts=step / 25))
        assert np.ptp(seen[4][10:, 1]) <= deepest
        assert seen[4][-1] == pytest.approx((130, 233 if ankles is not None else 228), abs=15 if ankles is None else 0)


def test_the_frame_rate_is_that_of_a_burst_or_of_years_ago() -> None:
    rate = Rate()
    moments = [10 + 0.4 * (i // 4) + 0.001 * (i % 4) for i in range(60)]  # batches of four, ten frames a second
    rates = [rate.update(replace(somebody(), published_at=at)) for at in moments]
    assert rates[:4] == [None] * 4
    assert rates[-1] == pytest.approx(10, rel=0.2)
    assert rate.update(replace(somebody(), published_at=moments[-1] + 3600)) == pytest.approx(1 / 3600)
    assert rate.update(replace(somebody(), published_at=5.0)) is None  # the clock was put back
    assert rate.update(replace(somebody(), published_at=5.5)) == 2.0


def test_a_trail_of_a_stream_that_stands_still_grows_without_bound() -> None:
    trails = Trails()
    for _ in range(1000):
        seen = trails.update(replace(somebody(), pts=1.0))
    assert len(seen[4]) <= 300
