"""Attention: how often the networks look, at whom, and who is followed in between.

A detection finds everybody. Whoever is followed or may be somebody new has the keypoints looked at with it, which the
tracker would ignore of the others. Until the next one people are followed: some of them are looked at again where the
tracker expects them, the others are carried on by their motion and that of the picture. Masks are made when a person's
last one is old, and move with the person until then.

A detection comes when the configured number of frames has passed; and before, when somebody was not recognised or when
something moves where nobody is known to be.

Where a budget of time is given and all this would cost more, masks are put off first, then keypoints of those who were
looked at last, then a detection that is due; never one that is asked for, and nothing for ever.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from models.tasks import Boxes
from stream.attention.budget import PATIENCE, Budget, Wanted
from stream.attention.flow import Flow
from stream.attention.masking import MaskMemory
from stream.attention.motion import Motion
from stream.attention.stillness import Stillness
from stream.config import Config, StreamConfig, TrackConfig
from stream.metrics import Metrics
from stream.perception import Perception
from stream.region import inside, stands_in
from stream.tracking import Followed, Tracker
from stream.types import UNTRACKED, Float, Frame, Image, People

Rows: TypeAlias = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is looked.

    A detection every `detector` frames; keypoints and masks of each person every so many, and keypoints of somebody who
    stands still every `still`.
    """

    detector: int = 1
    pose: int = 1
    still: int = 1
    masks: int = 1

    @staticmethod
    def of(config: Config) -> Pace:
        """What a configuration asks for."""
        pose = config.pose.every
        return Pace(config.detector.every, pose, max(pose, config.pose.still_every), config.masks.every)


@dataclass(slots=True, eq=False)
class _Watch:
    """What is known of one connection of one stream.

    Attributes:
        since_detection: frames; doubt: whether somebody was not recognised since.
        outside: boxes [N, 4] of those whom it found outside of the region: their motion is no news.
    """

    epoch: int
    tracker: Tracker
    masks: MaskMemory
    motion: Motion = field(default_factory=Motion)
    stillness: Stillness = field(default_factory=Stillness)
    flow: Flow = field(default_factory=Flow)
    since_detection: int = 0
    doubt: bool = False
    outside: Float = field(default_factory=lambda: np.zeros((0, 4), np.float32))


@dataclass(slots=True, eq=False)
class _Look:
    """One frame of a batch while it is looked at.

    Attributes:
        followed: who is followed; None where only a detection can tell who is there.
        found: by the detection, if there is one, and of interest; else those of `followed` are left who are looked at.
    """

    frame: Frame
    watch: _Watch
    followed: Followed | None = None
    found: Boxes | None = None
    _picture: Image | None = None

    @property
    def stream(self) -> str:
        return self.frame.stream

    def picture(self) -> Image:
        """The pixels, fetched once: they may lie on a GPU."""
        if self._picture is None:
            self._picture = np.asarray(self.frame.image)
        return self._picture

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
        budget: what all this may cost; as much as it takes where none is given.
    """

    def __init__(
        self, perception: Perception, pace: Pace, track: TrackConfig, metrics: Metrics, budget: Budget | None = None
    ) -> None:
        self._perception = perception
        self._pace = pace
        self._track = track
        self._metrics = metrics
        self._budget = budget or Budget(metrics)
        self._watches: dict[str, _Watch] = {}

    def __call__(self, frames: Sequence[Frame], streams: Mapping[str, StreamConfig]) -> list[People]:
        """The people of each frame with their ids.

        Args:
            frames: of one batch: one of a stream at most, and those of a stream in their order.
            streams: settings of the streams that they are of.
        """
        self._budget.begin({frame.stream: streams[frame.stream].budget_ms / 1e3 for frame in frames})
        looks = [self._begin(frame) for frame in frames]
        self._detect(looks, streams)
        keypoints = self._keypoints(looks)
        everyone = [
            self._identify(look, of_frame, streams[look.stream])
            for look, of_frame in zip(looks, keypoints, strict=True)
        ]
        return self._with_masks(looks, everyone, [streams[look.stream].masks for look in looks])

    def forget(self, stream: str) -> None:
        """Keep nothing of a stream that was removed."""
        self._watches.pop(stream, None)
        self._budget.forget(stream)

    def _begin(self, frame: Frame) -> _Look:
        """See who can be followed, or whether only a detection helps."""
        watch = self._watches.get(frame.stream)
        if watch is None or watch.epoch != frame.epoch:  # no id outlives a cut
            masks = MaskMemory(self._pace.masks, together=self._perception.masks_together)
            watch = self._watches[frame.stream] = _Watch(frame.epoch, Tracker(self._track), masks)
        watch.since_detection += 1
        look = _Look(frame, watch)
        if not self._follows(look.stream):
            return look
        watch.motion.look(look.picture())
        followed = watch.tracker.expected(frame.captured_at)
        if followed is None or watch.doubt:
            return look
        may_wait = watch.since_detection < self._pace.detector or self._budget.limits(look.stream)
        if may_wait and watch.motion.elsewhere(np.concatenate([followed.boxes, watch.outside])):
            self._metrics.count("detections for motion", look.stream)
            return look
        look.followed = followed
        return look

    def _follows(self, stream: str) -> bool:
        """Whether there may be frames without a detection."""
        return self._pace.detector > 1 or self._budget.limits(stream)

    def _detect(self, looks: Sequence[_Look], streams: Mapping[str, StreamConfig]) -> None:
        """In the frames that ask for it, and where it is due and affordable."""
        wanted = {}
        for look in looks:
            since = look.watch.since_detection
            if look.followed is None or since >= self._pace.detector:
                wanted[look.stream] = Wanted(1, int(look.followed is None or since >= PATIENCE * self._pace.detector))
        granted = self._budget.fit("detections", wanted)
        chosen = [look for look in looks if granted.get(look.stream)]
        if not chosen:
            return
        with self._budget.costs.learnt("detections", len(chosen)):
            everybody = self._perception.detect([look.frame.image for look in chosen])
        for look, found in zip(chosen, everybody, strict=True):
            look.watch.motion.nobody_but(found.xyxy)
            look.found = self._of_interest(look, found, streams[look.stream])
            look.watch.since_detection = 0
            self._metrics.count("detections", look.stream)

    def _of_interest(self, look: _Look, found: Boxes, stream: StreamConfig) -> Boxes:
        """Those who stand in the region and of whom the tracker will take notice: the others need no keypoints."""
        frame, watch = look.frame, look.watch
        with self._metrics.timed("heed"):
            within = stands_in(found.xyxy, (frame.height, frame.width), stream.region)
            watch.outside = found.xyxy[~within]
            heeded = within & watch.tracker.heeds(found.xyxy, found.scores, frame.captured_at)
            return found.only(heeded.nonzero()[0])

    def _keypoints(self, looks: Sequence[_Look]) -> list[Float]:
        """Of everybody who was found, and of those who are followed and looked at again, in one batch."""
        wanted = {}
        for look in looks:
            if look.found is not None:
                wanted[look.stream] = Wanted(len(look.found.xyxy), len(look.found.xyxy))
            elif look.followed is not None:
                look.followed, late = self._turns(look, look.followed)
                wanted[look.stream] = Wanted(len(look.followed.rows), late)
        granted = self._budget.fit("keypoints", wanted)
        for look in looks:
            if look.found is None and look.followed is not None:
                look.followed = look.followed.only(np.arange(granted[look.stream]))
        people = [look.people() for look in looks]
        with self._budget.costs.learnt("keypoints", sum(len(of.xyxy) for of in people)):
            keypoints = self._perception.keypoints([look.frame.image for look in looks], people)
        for number, look in enumerate(looks):
            if look.found is not None:
                look.found, keypoints[number] = self._perception.distinct(look.found, keypoints[number])
        return keypoints

    def _turns(self, look: _Look, followed: Followed) -> tuple[Followed, int]:
        """Of those who are followed the ones to look at again, most urgent first; and how many of them cannot wait.

        Newcomers, and of those who move a `pose`th part, the ones not looked at for longest.
        """
        if not self._perception.has_pose:
            return followed.only(np.zeros(0, np.intp)), 0
        waited = followed.age + 1
        new = followed.ids == UNTRACKED
        still = np.zeros(len(new), np.bool_)
        if self._pace.still > self._pace.pose:
            still = look.watch.stillness.of(look.picture(), followed.ids)
        moves = ~still | (waited >= self._pace.still)
        turns = math.ceil(np.count_nonzero(moves) / self._pace.pose)
        late = new | (waited >= PATIENCE * np.where(still, self._pace.still, self._pace.pose))
        rows = np.lexsort((-waited, ~moves, ~late))[: max(turns, int(np.count_nonzero(late)))]
        return followed.only(rows), int(np.count_nonzero(late[rows]))

    def _identify(self, look: _Look, keypoints: Float, stream: StreamConfig) -> People:
        frame, watch = look.frame, look.watch
        with self._metrics.timed("track"):
            people = inside(self._track_on(look, keypoints, stream), stream.region)
        if self._follows(frame.stream):
            with self._metrics.timed("follow"):
                people = watch.flow.carry(look.picture(), people, frame.captured_at)
                if self._pace.still > self._pace.pose:
                    watch.stillness.looked(look.picture(), people)
        return people

    def _track_on(self, look: _Look, keypoints: Float, stream: StreamConfig) -> People:
        frame, watch = look.frame, look.watch
        frame_size = frame.height, frame.width
        if look.found is None and look.followed is not None:
            people, certain = watch.tracker.follow(look.followed.rows, keypoints, frame.captured_at, frame_size)
            watch.doubt = not certain
            return people
        found = look.people()
        masks = self._perception.own_masks(found) if stream.masks else ()
        people = People.untracked(found.xyxy, found.scores, keypoints, masks, frame_size=frame_size)
        watch.doubt = False
        return watch.tracker.update(people, frame.captured_at)

    def _with_masks(self, looks: Sequence[_Look], everyone: list[People], wanted: Sequence[bool]) -> list[People]:
        """`everyone` with masks where they are wanted: those that are due in one batch, the others moved."""
        if not self._perception.has_masks:
            return everyone
        chosen = [number for number, want in enumerate(wanted) if want]
        for look, want in zip(looks, wanted, strict=True):
            if not want:
                look.watch.masks.forget()
        rows = self._mask_turns({number: looks[number] for number in chosen}, everyone)
        busy = [number for number in chosen if len(rows[number])]
        due = [everyone[number][rows[number]] for number in busy]
        pieces = len(due) if self._perception.masks_together else sum(map(len, due))
        with self._budget.costs.learnt("masks", pieces):
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

    def _mask_turns(self, looks: Mapping[int, _Look], everyone: Sequence[People]) -> dict[int, Rows]:
        """The rows of each frame whose mask is made now."""
        turns = {number: look.watch.masks.due(everyone[number]) for number, look in looks.items()}
        together = self._perception.masks_together
        wanted = {
            looks[number].stream: Wanted(min(len(rows), 1), min(late, 1)) if together else Wanted(len(rows), late)
            for number, (rows, late) in turns.items()
        }
        granted = self._budget.fit("masks", wanted)
        rows_of = {}
        for number, (rows, _) in turns.items():
            count = granted[looks[number].stream]
            rows_of[number] = rows if together and count else rows[:count]
        return rows_of
