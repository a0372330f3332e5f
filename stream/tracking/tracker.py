"""The tracker of one stream: people of one frame after another in, the same people with ids out."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from models.coco import AREA_OF_BOX
from stream.config import TrackConfig
from stream.tracking.association import NOBODY, assign_in_stages
from stream.tracking.following import Followed, carried, doubled, measured, moved
from stream.tracking.kalman import BoxFilter, to_boxes
from stream.tracking.similarity import box_similarity, keypoint_similarity
from stream.tracking.smoothing import KeypointSmoother
from stream.tracking.tracks import Tracks
from stream.types import UNTRACKED, Bool, Float, People

Double: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.intp]

_log = logging.getLogger(__name__)


class Tracker:
    """Follows the people of one stream.

    A Kalman filter says where everybody should be by now. People with high scores are matched to the known first, then
    people with low scores to those seen in the frame before (ByteTrack, Zhang et al. 2022): who walks behind somebody
    keeps the id. Who is hidden is remembered for a while, and found again where the filter expects him or her. New
    people are published as soon as they are seen in a second frame.

    Args:
        settings: see `TrackConfig`.
    """

    def __init__(self, settings: TrackConfig) -> None:
        self._settings = settings
        self._filter = BoxFilter(settings.motion_noise, settings.box_noise)
        self.reset()

    def __len__(self) -> int:
        """How many people are remembered, seen or not."""
        return len(self._tracks)

    def reset(self) -> None:
        """Forgets everybody and counts ids from 1 again: for a new epoch."""
        self._tracks = Tracks.none()
        self._next_id = 1
        self._time: float | None = None
        self._clock = 0.0  # advances with `time`, but never runs back
        self._smoother = KeypointSmoother(self._settings) if self._settings.smooth_keypoints else None

    def update(self, people: People, time: float) -> People:
        """The confirmed people of the next frame with id, velocity and filtered box, in the order they came in.

        Args:
            people: as perception finds them.
            time: of the frame, seconds of any clock. Steps may be of any length: one back counts as none, and after one
                of more than `lost_seconds` everybody is new.

        Raises:
            ValueError: `time` is not a finite number.
        """
        people = _usable(people)
        boxes = people.boxes.astype(np.float64)
        begins = self._advance(time)
        if np.count_nonzero(self._tracks.missed) or len(self._tracks) > self._settings.max_tracks:
            self._forget()
        owners = self._match(people, boxes)
        self._follow(people, boxes, owners)
        self._begin(people, boxes, owners)
        self._number(1 if begins else self._settings.confirm_frames)
        result = self._publish(people, owners)
        return result if self._smoother is None else self._smoother.smooth(result, self._clock)

    def heeds(self, boxes: Float, scores: Float, time: float) -> Bool:
        """Of which people, bool [N], `update` will take notice at this `time`.

        It ignores the others whatever their keypoints are: nobody whom they could be is known, and they are not certain
        enough to be somebody new.

        Args:
            boxes: float32 [N, 4]. scores: float32 [N].
        """
        heeded: Bool = scores >= self._settings.high_score
        if heeded.all() or self._begins(time) or not len(self._tracks):
            return heeded
        state = self._tracks.state.copy()
        self._filter.predict(state, self._elapsed(time))
        with np.errstate(invalid="ignore"):  # of empty and infinite boxes, which overlap with nothing
            overlap = box_similarity(to_boxes(state), boxes.astype(np.float64))
        return heeded | self._allowed(overlap, scores).any(axis=0)

    def expected(self, time: float) -> Followed | None:
        """Where the people seen last should be at `time`; None where only a detection can tell who is there."""
        if self._begins(time):
            return None
        tracks, state = self._tracks, self._tracks.state.copy()
        self._filter.predict(state, self._elapsed(time))
        rows = (tracks.missed == 0).nonzero()[0]
        return Followed(rows, to_boxes(state)[rows].astype(np.float32), tracks.age[rows], tracks.ids[rows])

    def follow(self, rows: Rows, keypoints: Float, time: float, frame_size: tuple[int, int]) -> tuple[People, bool]:
        """The confirmed people of a frame without a detection: some looked at again, the others carried on.

        Args:
            rows: of those who were looked at, a part of what `expected` gave for this `time`.
            keypoints: of these, float32 [M, 17, 3].
            time: of the frame. frame_size: height and width of it.

        Returns:
            The people; who was not looked at is `predicted`, with keypoints that moved with the box. And whether all
            who were looked at were recognised; if not, it is time for a detection.
        """
        self._advance(time)
        found = self._recognise(rows, keypoints)
        self._tracks.age += 1
        self._tracks.age[found] = 0
        self._number(self._settings.confirm_frames)
        people = self._carry_on(found, frame_size)
        if self._settings.predict_seconds:
            people = self._add_predicted(people)
        people = people if self._smoother is None else self._smoother.smooth(people, self._clock)
        return people, len(found) == len(rows)

    def _recognise(self, rows: Rows, keypoints: Float) -> Rows:
        """Takes those into their tracks of whom these are the keypoints without doubt; their rows."""
        tracks = self._tracks
        expected = to_boxes(tracks.state)
        boxes, poses = expected.copy(), moved(tracks.keypoints, tracks.boxes, expected)
        boxes[rows], recognised = measured(tracks.boxes[rows], tracks.keypoints[rows], keypoints, expected[rows])
        poses[rows] = keypoints
        recognised &= ~doubled(poses, expected, boxes)[rows]
        found = rows[recognised]
        self._filter.correct(tracks.state, found, boxes[found])
        self._remember(found, boxes[found], keypoints[recognised])
        return found

    def _carry_on(self, found: Rows, frame_size: tuple[int, int]) -> People:
        """Everybody who is confirmed and not hidden; those whom nobody has `found` now as they should have moved."""
        tracks = self._tracks
        shown = tracks.settled.nonzero()[0]
        velocity = tracks.state[1, shown, :2]
        return People(
            boxes=to_boxes(tracks.state)[shown].astype(np.float32),
            scores=tracks.scores[shown],
            keypoints=carried(tracks.keypoints[shown], velocity, self._clock - tracks.seen[shown]),
            ids=tracks.ids[shown],
            masks=(),
            predicted=~np.isin(shown, found),
            velocity=velocity.astype(np.float32),
            frame_size=frame_size,
        )

    def _elapsed(self, time: float) -> float:
        return 0.0 if self._time is None else max(0.0, time - self._time)

    def _begins(self, time: float) -> bool:
        """Whether nothing is known any more that helps at `time`."""
        return self._time is None or self._elapsed(time) > self._settings.lost_seconds

    def _advance(self, time: float) -> bool:
        """Carries all tracks on to `time`; whether this is a new beginning."""
        if not math.isfinite(time):
            raise ValueError(f"The time of a frame must be a finite number of seconds, not {time}.")
        elapsed, begins = self._elapsed(time), self._begins(time)
        self._time = time
        self._clock += elapsed
        if begins:
            self._tracks = Tracks.none()
        self._filter.predict(self._tracks.state, elapsed)
        return begins

    def _forget(self) -> None:
        """Drops the tracks whom nobody will find again: a false detection rather sooner than a person."""
        tracks, settings = self._tracks, self._settings
        alive = tracks.missed < np.where(tracks.confirmed, tracks.hits, 1)
        alive &= self._clock - tracks.seen <= settings.lost_seconds
        if not alive.all():
            tracks.keep(alive)
        if len(tracks) > settings.max_tracks:
            _log.warning("More than %d tracks: forgetting those that were not seen for longest.", settings.max_tracks)
            tracks.keep(np.sort(np.argsort(-tracks.seen, kind="stable")[: settings.max_tracks]))

    def _match(self, people: People, boxes: Double) -> Rows:
        """The track of each person, intp [N], or `NOBODY`."""
        tracks, settings = self._tracks, self._settings
        expected = to_boxes(tracks.state)
        overlap = box_similarity(expected, boxes)
        high, settled = people.scores >= settings.high_score, tracks.settled
        allowed = self._allowed(overlap, people.scores)

        owners = np.full(len(people), NOBODY)
        rows, persons = allowed.nonzero()
        contested = (np.bincount(rows)[rows] > 1) | (np.bincount(persons)[persons] > 1)
        owners[persons] = rows
        if np.count_nonzero(contested):
            rows, persons = rows[contested], persons[contested]
            owners[persons] = NOBODY
            similarity = overlap.copy()
            similarity[rows, persons] = self._likeness(overlap[rows, persons], rows, persons, people, boxes, expected)
            stages = (tracks.confirmed, high), (settled, ~high), (~tracks.confirmed, high)
            assign_in_stages(owners, similarity, allowed, stages)
        return owners

    def _allowed(self, overlap: Double, scores: Float) -> Bool:
        """Which people each track may be matched to, bool [T, N], by their boxes' `overlap` and scores."""
        settings = self._settings
        high, low = scores >= settings.high_score, scores >= settings.low_score
        allowed: Bool = overlap >= np.where(high, settings.min_overlap, settings.min_overlap_low)
        allowed &= high | (self._tracks.settled[:, None] & low)
        return allowed

    def _likeness(
        self, overlap: Double, rows: Rows, persons: Rows, people: People, boxes: Double, expected: Double
    ) -> Double:
        """`overlap` [P] of pairs of tracks and people, mixed with the likeness of their keypoints."""
        weight, tracks = self._settings.keypoint_weight, self._tracks
        if not weight or not people.keypoints[:, :, 2].any():
            return overlap
        size = boxes[:, 2:] - boxes[:, :2]
        areas = AREA_OF_BOX * size[:, 0] * size[:, 1]
        keypoints = moved(tracks.keypoints, tracks.boxes, expected)
        alike = keypoint_similarity(keypoints[rows], people.keypoints[persons], areas[persons])
        return np.where(np.isnan(alike), overlap, (1 - weight) * overlap + weight * alike)

    def _follow(self, people: People, boxes: Double, owners: Rows) -> None:
        """Takes the matched people into their tracks, and notes who is missing."""
        tracks = self._tracks
        found = (owners != NOBODY).nonzero()[0]
        rows, seen = owners.take(found), boxes.take(found, axis=0)
        self._filter.correct(tracks.state, rows, seen)
        tracks.missed += 1
        tracks.missed[rows] = 0
        tracks.age[rows] = 0
        tracks.scores[rows] = people.scores.take(found)
        self._remember(rows, seen, people.keypoints.take(found, axis=0))
        if np.count_nonzero(tracks.missed):
            self._filter.hold_size(tracks.state, tracks.missed > 0)

    def _remember(self, rows: Rows, boxes: Double, keypoints: Float) -> None:
        """Takes in how the people of these tracks were seen just now."""
        tracks = self._tracks
        tracks.hits[rows] += 1
        tracks.seen[rows] = self._clock
        tracks.boxes[rows] = boxes
        tracks.keypoints[rows] = keypoints

    def _begin(self, people: People, boxes: Double, owners: Rows) -> None:
        """Begins tracks for the people with high scores who have none, and enters them into `owners`."""
        new = ((owners == NOBODY) & (people.scores >= self._settings.high_score)).nonzero()[0]
        if not len(new):
            return
        owners[new] = len(self._tracks) + np.arange(len(new))
        self._tracks.extend(
            Tracks.new(
                state=self._filter.initiate(boxes[new]),
                now=self._clock,
                scores=people.scores[new],
                boxes=boxes[new],
                keypoints=people.keypoints[new],
            )
        )

    def _number(self, confirm_frames: int) -> None:
        """Confirms who was seen in so many frames: gives them ids, which so count people and not false alarms."""
        tracks = self._tracks
        new = ((tracks.ids == UNTRACKED) & (tracks.hits >= confirm_frames)).nonzero()[0]
        if len(new):
            tracks.ids[new] = self._next_id + np.arange(len(new))
            self._next_id += len(new)

    def _publish(self, people: People, owners: Rows) -> People:
        """Everybody who is seen and confirmed, and if asked for those who were seen lately."""
        tracks = self._tracks
        persons = (owners != NOBODY).nonzero()[0]
        persons = persons[tracks.confirmed.take(owners.take(persons))]
        rows = owners.take(persons)
        state = tracks.state.take(rows, axis=1)
        seen = People(
            boxes=to_boxes(state).astype(np.float32),
            scores=people.scores.take(persons),
            keypoints=people.keypoints.take(persons, axis=0),
            ids=tracks.ids.take(rows),
            masks=tuple(people.masks[person] for person in persons.tolist()) if people.masks else (),
            predicted=np.zeros(len(rows), np.bool_),
            velocity=state[1, :, :2].astype(np.float32),
            frame_size=people.frame_size,
        )
        return self._add_predicted(seen) if self._settings.predict_seconds else seen

    def _add_predicted(self, seen: People) -> People:
        """`seen`, and behind them the people who are hidden since no longer than `predict_seconds`."""
        tracks = self._tracks
        height, width = seen.frame_size
        centres = tracks.state[0, :, :2]
        hidden = (tracks.missed > 0) & tracks.confirmed & ((centres >= 0) & (centres < (width, height))).all(axis=1)
        hidden &= self._clock - tracks.seen <= self._settings.predict_seconds
        n = int(hidden.sum())
        return replace(
            seen,
            boxes=np.concatenate([seen.boxes, to_boxes(tracks.state)[hidden].astype(np.float32)]),
            scores=np.concatenate([seen.scores, tracks.scores[hidden].astype(np.float32)]),
            keypoints=np.concatenate([seen.keypoints, np.zeros((n, *seen.keypoints.shape[1:]), np.float32)]),
            ids=np.concatenate([seen.ids, tracks.ids[hidden]]),
            masks=seen.masks + (None,) * n if seen.masks else (),
            predicted=np.concatenate([seen.predicted, np.ones(n, np.bool_)]),
            velocity=np.concatenate([seen.velocity, tracks.state[1, hidden, :2].astype(np.float32)]),
        )


def _usable(people: People) -> People:
    """`people` without those whose box is empty or not finite: one of them would spoil the filter for good."""
    size = people.boxes[:, 2:] - people.boxes[:, :2]
    sound = (size > 0) & (size < np.inf)
    if np.count_nonzero(sound) == sound.size:
        return people
    good = sound[:, 0] & sound[:, 1]
    _log.warning("Dropped %d people with an empty or infinite box.", len(people) - int(good.sum()))
    return people[good]
