"""Attention: how often the networks look, and who is followed in between.

A detection finds everybody, and everybody's keypoints are looked at with it. Until the next one people are followed:
some of them are looked at again where the tracker expects them, the others are carried on by their motion. Masks are
made when a person's last one is old, and move with the person until then.

A detection comes when the configured number of frames has passed; and before, when somebody was not recognised or when
something moves where nobody is known to be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.tasks import Boxes
from stream.config import Config, StreamConfig, TrackConfig
from stream.masking import MaskMemory
from stream.metrics import Metrics
from stream.motion import Motion
from stream.perception import Perception
from stream.region import inside
from stream.tracking import Followed, Tracker
from stream.types import Float, Frame, People


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is looked: a detection every `detector` frames; keypoints and masks of each person every so many."""

    detector: int = 1
    pose: int = 1
    masks: int = 1

    @staticmethod
    def of(config: Config) -> Pace:
        """What a configuration asks for."""
        return Pace(config.detector.every, config.pose.every, config.masks.every)


@dataclass(slots=True, eq=False)
class _Watch:
    """What is known of one connection of one stream.

    Attributes:
        since_detection: frames; doubt: whether somebody was not recognised since.
    """

    epoch: int
    tracker: Tracker
    masks: MaskMemory = field(default_factory=MaskMemory)
    motion: Motion = field(default_factory=Motion)
    since_detection: int = 0
    doubt: bool = False


@dataclass(slots=True, eq=False)
class _Look:
    """One frame of a batch while it is looked at: who is found in it, or who is followed and looked at again."""

    frame: Frame
    watch: _Watch
    found: Boxes | None = None
    followed: Followed | None = None

    def people(self) -> Boxes:
        """Those whose keypoints are looked at."""
        if self.found is not None:
            return self.found
        assert self.followed is not None
        return Boxes(self.followed.boxes, np.ones(len(self.followed.boxes), np.float32))


class Attention:
    """Looks at the frames of all streams and knows who is in them; used by one thread.

    Args:
        perception: the networks.
        pace: how often they look.
        track: settings of every tracker.
        metrics: where times and counts go.
    """

    def __init__(self, perception: Perception, pace: Pace, track: TrackConfig, metrics: Metrics) -> None:
        self._perception = perception
        self._pace = pace
        self._track = track
        self._metrics = metrics
        self._watches: dict[str, _Watch] = {}

    def __call__(self, frames: Sequence[Frame], streams: Mapping[str, StreamConfig]) -> list[People]:
        """The people of each frame with their ids.

        Args:
            frames: of one batch: one of a stream at most, and those of a stream in their order.
            streams: settings of the streams that they are of.
        """
        looks = [self._begin(frame) for frame in frames]
        self._detect([look for look in looks if look.followed is None])
        keypoints = self._keypoints(looks)
        everyone = [
            self._identify(look, of_frame, streams[look.frame.stream])
            for look, of_frame in zip(looks, keypoints, strict=True)
        ]
        return self._with_masks(looks, everyone, [streams[look.frame.stream].masks for look in looks])

    def forget(self, stream: str) -> None:
        """Keep nothing of a stream that was removed."""
        self._watches.pop(stream, None)

    def _begin(self, frame: Frame) -> _Look:
        """Decide whether this frame gets a detection; if not, whom to look at again."""
        watch = self._watches.get(frame.stream)
        if watch is None or watch.epoch != frame.epoch:  # no id outlives a cut
            watch = self._watches[frame.stream] = _Watch(frame.epoch, Tracker(self._track))
        watch.since_detection += 1
        if self._pace.detector == 1:
            return _Look(frame, watch)
        watch.motion.look(frame.image)
        followed = watch.tracker.expected(frame.captured_at)
        if followed is None or watch.doubt or watch.since_detection >= self._pace.detector:
            return _Look(frame, watch)
        if watch.motion.elsewhere(followed.boxes):
            self._metrics.count("detections for motion", frame.stream)
            return _Look(frame, watch)
        return _Look(frame, watch, followed=self._due(followed))

    def _due(self, followed: Followed) -> Followed:
        """Of those who are followed the ones to look at again: newcomers, and those not looked at for longest."""
        if not self._perception.has_pose:
            return followed.only(np.zeros(len(followed.rows), np.bool_))
        turn = ~followed.confirmed
        turn[np.argsort(-followed.age, kind="stable")[: math.ceil(len(turn) / self._pace.pose)]] = True
        return followed.only(turn)

    def _detect(self, looks: Sequence[_Look]) -> None:
        if not looks:
            return
        for look, found in zip(looks, self._perception.detect([look.frame.image for look in looks]), strict=True):
            look.found = found
            look.watch.since_detection = 0
            self._metrics.count("detections", look.frame.stream)

    def _keypoints(self, looks: Sequence[_Look]) -> list[Float]:
        """Of everybody who was found or is looked at again, in one batch."""
        keypoints = self._perception.keypoints([look.frame.image for look in looks], [look.people() for look in looks])
        for number, look in enumerate(looks):
            if look.found is not None:
                look.found, keypoints[number] = self._perception.distinct(look.found, keypoints[number])
        return keypoints

    def _identify(self, look: _Look, keypoints: Float, stream: StreamConfig) -> People:
        frame, watch = look.frame, look.watch
        frame_size = frame.height, frame.width
        with self._metrics.timed("track"):
            if look.followed is not None:
                people, certain = watch.tracker.follow(look.followed.rows, keypoints, frame.captured_at, frame_size)
                watch.doubt = not certain
                return inside(people, stream.region)
            found = look.people()
            masks = self._perception.own_masks(found) if stream.masks else ()
            people = People.untracked(found.xyxy, found.scores, keypoints, masks, frame_size=frame_size)
            watch.motion.nobody_but(people.boxes)
            watch.doubt = False
            return watch.tracker.update(inside(people, stream.region), frame.captured_at)

    def _with_masks(self, looks: Sequence[_Look], everyone: list[People], wanted: Sequence[bool]) -> list[People]:
        """`everyone` with masks where they are wanted: those that are due in one batch, the others moved."""
        if not self._perception.has_masks:
            return everyone
        chosen = [number for number, want in enumerate(wanted) if want]
        rows = {
            number: looks[number].watch.masks.due(
                everyone[number], self._pace.masks, together=self._perception.masks_together
            )
            for number in chosen
        }
        busy = [number for number in chosen if len(rows[number])]
        due = [everyone[number][rows[number]] for number in busy]
        made = self._perception.masks(
            [looks[number].frame.image for number in busy],
            [people.boxes for people in due],
            [people.keypoints for people in due],
        )
        masks_of = dict(zip(busy, made, strict=True))
        for number in chosen:
            memory = looks[number].watch.masks
            everyone[number] = memory.complete(everyone[number], rows[number].tolist(), masks_of.get(number, ()))
        return everyone
