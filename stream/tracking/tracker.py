"""The tracker of one stream: people of one frame after another in, the same people with ids out."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from models.coco import AREA_OF_BOX
from stream.config import TrackConfig
from stream.tracking.association import assign
from stream.tracking.following import carried, doubled, measured, moved
from stream.tracking.kalman import BoxFilter, to_boxes
from stream.tracking.similarity import box_similarity, keypoint_similarity
from stream.tracking.smoothing import KeypointSmoother
from stream.tracking.tracks import Tracks
from stream.types import UNTRACKED, Bool, Float, Int, People

Double: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.intp]

_NOBODY = -1

_log = logging.getLogger(__name__)


class Followed(NamedTuple):
    """The M people who were seen last: their tracks, expected boxes, and what is known of them.

    Attributes:
        rows: intp [M], of the tracker. boxes: float32 [M, 4], where they should be.
        age: int64 [M], in how many frames nobody looked at them. confirmed: bool [M].
    """

    rows: Rows
    boxes: Float
    age: Int
    confirmed: Bool

    def only(self, which: Bool) -> Followed:
        """Some of them."""
        return Followed(self.rows[which], self.boxes[which], self.age[which], self.confirmed[which])


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
        if self._tracks.missed.any() or len(self._tracks) > self._settings.max_tracks:
            self._forget()
        owners = self._match(people, boxes)
        self._follow(people, boxes, owners)
        self._begin(people, boxes, owners, begins)
        self._number()
        result = self._publish(people, owners)
        return result if self._smoother is None else self._smoother.smooth(result, self._clock)

    def expected(self, time: float) -> Followed | None:
        """Where the people seen last should be at `time`; None where only a detection can tell who is there."""
        if self._begins(time):
            return None
        tracks, state = self._tracks, self._tracks.state.copy()
        self._filter.predict(state, self._elapsed(time))
        rows = (tracks.missed == 0).nonzero()[0]
        return Followed(rows, to_boxes(state)[rows].astype(np.float32), tracks.age[rows], tracks.confirmed[rows])

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
        self._tracks.confirmed |= self._tracks.hits >= self._settings.confirm_frames
        self._number()
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
        shown = (tracks.confirmed & (tracks.missed == 0)).nonzero()[0]
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
        """The track of each person, intp [N], or `_NOBODY`."""
        tracks, settings = self._tracks, self._settings
        owners = np.full(len(people), _NOBODY)
        if not len(tracks) or not len(people):
            return owners
        expected = to_boxes(tracks.state)
        overlap = box_similarity(expected, boxes)
        similarity = self._mix_in_keypoints(overlap, people, boxes, expected)
        high = people.scores >= settings.high_score
        low = ~high & (people.scores >= settings.low_score)
        stages = (
            (tracks.confirmed, high, settings.min_overlap),
            (tracks.confirmed & (tracks.missed == 0), low, settings.min_overlap_low),
            (~tracks.confirmed, high, settings.min_overlap),
        )
        free = np.ones(len(tracks), np.bool_)
        for candidates, persons, least in stages:
            rows = (candidates & free).nonzero()[0]
            columns = (persons & (owners == _NOBODY)).nonzero()[0]
            if len(rows) and len(columns):
                pairs = rows[:, None], columns
                chosen, taken = assign(similarity[pairs], overlap[pairs] >= least)
                owners[columns[taken]] = rows[chosen]
                free[rows[chosen]] = False
        return owners

    def _mix_in_keypoints(self, overlap: Double, people: People, boxes: Double, expected: Double) -> Double:
        """`overlap` [T, N] of tracks and people, mixed with the likeness of their keypoints where people compete."""
        weight, tracks = self._settings.keypoint_weight, self._tracks
        if not weight or not people.keypoints[:, :, 2].any():
            return overlap
        allowed = overlap >= self._settings.min_overlap
        contested = allowed & ((allowed.sum(axis=1) > 1)[:, None] | (allowed.sum(axis=0) > 1))
        rows, persons = contested.nonzero()
        if not len(rows):
            return overlap
        size = boxes[:, 2:] - boxes[:, :2]
        areas = AREA_OF_BOX * size[:, 0] * size[:, 1]
        keypoints = moved(tracks.keypoints, tracks.boxes, expected)
        alike = keypoint_similarity(keypoints[rows], people.keypoints[persons], areas[persons])
        by_box = overlap[rows, persons]
        mixed = overlap.copy()
        mixed[rows, persons] = np.where(np.isnan(alike), by_box, (1 - weight) * by_box + weight * alike)
        return mixed

    def _follow(self, people: People, boxes: Double, owners: Rows) -> None:
        """Takes the matched people into their tracks, and notes who is missing."""
        tracks = self._tracks
        found = (owners != _NOBODY).nonzero()[0]
        rows = owners[found]
        self._filter.correct(tracks.state, rows, boxes[found])
        tracks.missed += 1
        tracks.missed[rows] = 0
        tracks.age[rows] = 0
        tracks.scores[rows] = people.scores[found]
        self._remember(rows, boxes[found], people.keypoints[found])
        tracks.confirmed |= tracks.hits >= self._settings.confirm_frames
        self._filter.hold_size(tracks.state, tracks.missed > 0)

    def _remember(self, rows: Rows, boxes: Double, keypoints: Float) -> None:
        """Takes in how the people of these tracks were seen just now."""
        tracks = self._tracks
        tracks.hits[rows] += 1
        tracks.seen[rows] = self._clock
        tracks.boxes[rows] = boxes
        tracks.keypoints[rows] = keypoints

    def _begin(self, people: People, boxes: Double, owners: Rows, confirmed: bool) -> None:
        """Begins tracks for the people with high scores who have none, and enters them into `owners`."""
        new = ((owners == _NOBODY) & (people.scores >= self._settings.high_score)).nonzero()[0]
        if not len(new):
            return
        owners[new] = len(self._tracks) + np.arange(len(new))
        self._tracks.extend(
            Tracks.new(
                state=self._filter.initiate(boxes[new]),
                now=self._clock,
                confirmed=confirmed or self._settings.confirm_frames == 1,
                scores=people.scores[new],
                boxes=boxes[new],
                keypoints=people.keypoints[new],
            )
        )

    def _number(self) -> None:
        """Gives the newly confirmed their ids, which so count people and not false alarms."""
        new = (self._tracks.confirmed & (self._tracks.ids == UNTRACKED)).nonzero()[0]
        self._tracks.ids[new] = self._next_id + np.arange(len(new))
        self._next_id += len(new)

    def _publish(self, people: People, owners: Rows) -> People:
        """Everybody who is seen and confirmed, and if asked for those who were seen lately."""
        tracks = self._tracks
        persons = (owners != _NOBODY).nonzero()[0]
        persons = persons[tracks.confirmed[owners[persons]]]
        rows = owners[persons]
        seen = People(
            boxes=to_boxes(tracks.state)[rows].astype(np.float32),
            scores=people.scores[persons],
            keypoints=people.keypoints[persons],
            ids=tracks.ids[rows],
            masks=tuple(people.masks[person] for person in persons) if people.masks else (),
            predicted=np.zeros(len(rows), np.bool_),
            velocity=tracks.state[1, rows, :2].astype(np.float32),
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
    if sound.all():
        return people
    good = sound[:, 0] & sound[:, 1]
    _log.warning("Dropped %d people with an empty or infinite box.", len(people) - int(good.sum()))
    return people[good]
