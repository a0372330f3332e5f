"""Several configurations on one video: each is compared with the first, on the same frames."""

from __future__ import annotations

import pytest

from models.errors import LabelsError
from models.tasks import Boxes
from stream.assembly import Assembly
from stream.measuring import comparison
from stream.measuring.comparison import compare
from stream.perception import Perception
from tests.stream.graphs import Walker, assembly, patterns


class Nobody:
    def __call__(self, images: list[object]) -> list[Boxes]:
        found = Walker()._box(96, 64)
        return [Boxes(found.xyxy[:0], found.scores[:0]) for _ in images]


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> list[Assembly]:
    """What the next pipelines perceive with, in order."""
    queue: list[Assembly] = []
    real = comparison.Pipeline
    monkeypatch.setattr(comparison, "Pipeline", lambda config, **more: real(config, assembly=queue.pop(0), **more))
    return queue


def test_the_first_loses_to_itself_or_the_second_does_not_lose(networks: list[Assembly]) -> None:
    networks += [assembly(), Assembly(Perception(Nobody()), {"detector": "nobody"}, {}, 1)]
    first, second = compare({"all": patterns("a", frames=5), "none": patterns("a", frames=5)}, None)
    assert (first.name, first.people, first.detections) == ("all", 1.0, 1.0)
    assert (second.name, second.people) == ("none", 0.0)
    assert first.scores is None and first.mask_iou is None
    assert first.as_json()["people_per_frame"] == 1.0 and first.fps > 0


def test_runs_of_different_lengths_are_compared_frame_by_frame(networks: list[Assembly]) -> None:
    networks += [assembly(), assembly()]
    with pytest.raises(LabelsError, match="short delivered 3 frames, the first one 5"):
        compare({"all": patterns("a", frames=5), "short": patterns("a", frames=3)}, None)
