"""What flows through the graph: frames in, people out.

Every value is a frozen dataclass that carries its stream, its sequence number and its time stamps. This module knows
nothing else of the project, so that a subscriber can use it without the rest being installed.

Conventions: pixels of the source frame, x to the right, y down, the centre of the top-left pixel at (0, 0); boxes are
`x1, y1, x2, y2`; seconds everywhere; scores 0..1; keypoints in COCO order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Float: TypeAlias = npt.NDArray[np.float32]
Int: TypeAlias = npt.NDArray[np.int64]
Bool: TypeAlias = npt.NDArray[np.bool_]
Image: TypeAlias = npt.NDArray[np.uint8]


class DeviceImage(Protocol):
    """A picture in the memory of a GPU. `numpy.asarray` fetches it as an `Image`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and 3."""
        ...

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Image: ...


AnyImage: TypeAlias = Image | DeviceImage

Clock = Literal["arrival", "file", "ntp"]
"""Where `captured_at` comes from: our clock at arrival, the file's time line, or the camera's RTCP sender reports."""

UNTRACKED = -1
"""The id of a person whom no tracker has seen yet."""

KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
"""The 17 keypoints of COCO, in its order."""

SKELETON = (
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8),
    (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
)  # fmt: skip
"""The 19 limbs of COCO's person category, as pairs of keypoint indices (0-based)."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture of one stream.

    Attributes:
        stream: id of the stream.
        epoch: how often the stream has been (re)connected, from 0.
        seq: number of the frame in its stream, from 0, rising by one; a gap in it is a loss.
        pts: seconds in the media's own time line.
        captured_at: seconds since 1970 (UTC), read from `clock`.
        image: uint8 [H, W, 3], BGR; or a picture on a GPU, which `numpy.asarray` makes such an array of.
    """

    stream: str
    epoch: int
    seq: int
    pts: float
    captured_at: float
    clock: Clock
    image: AnyImage

    @property
    def width(self) -> int:
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        return int(self.image.shape[0])


@dataclass(frozen=True, slots=True)
class Mask:
    """The mask of one person in COCO's compressed RLE, cropped to a window of the frame.

    Attributes:
        size: height and width of the window, pixels.
        counts: COCO's compressed run lengths (column-major, alternating from background).
        origin: x and y of the window's top-left pixel in the frame.
    """

    size: tuple[int, int]
    counts: bytes
    origin: tuple[int, int]

    @staticmethod
    def encode(window: Bool, origin: tuple[int, int]) -> Mask:
        """Mask of `window`, bool [h, w], whose top-left pixel lies at `origin` (x, y) of the frame."""
        import cv2
        from pycocotools import mask as rle

        pixels = np.asarray(window, np.uint8)
        columns = cv2.transpose(pixels).T if pixels.size else pixels  # several times faster than numpy's copy
        encoded = rle.encode(np.asfortranarray(columns))
        height, width = window.shape
        return Mask((height, width), encoded["counts"], origin)

    def window(self) -> Bool:
        """The mask inside its window, bool [h, w]."""
        from pycocotools import mask as rle

        decoded: Image = rle.decode({"size": list(self.size), "counts": self.counts})
        return decoded.astype(np.bool_)

    def decode(self, height: int, width: int) -> Bool:
        """The mask in its frame, bool [height, width]; what lies outside of the frame is cut off."""
        return _placed(self, height, width)


@dataclass(frozen=True, slots=True)
class Polygon:
    """The mask of one person as outlines in a window of the frame: smaller than a `Mask`, but not exact.

    Attributes:
        size: height and width of the window, pixels.
        outlines: of each part the corners x1, y1, x2, y2, ...: pixels of the window that belong to the mask. Holes are
            filled.
        origin: x and y of the window's top-left pixel in the frame.
    """

    size: tuple[int, int]
    outlines: tuple[tuple[int, ...], ...]
    origin: tuple[int, int]

    @staticmethod
    def encode(window: Bool, origin: tuple[int, int], tolerance: float | None = None) -> Polygon:
        """Outlines of `window`, bool [h, w], whose top-left pixel lies at `origin` (x, y) of the frame.

        Args:
            tolerance: how far they may stray from the mask's edge, pixels; None: 0.3 % of h, but 0.75 at least.

        Suzuki and Abe, "Topological structural analysis of digitized binary images by border following", 1985;
        simplified after Douglas and Peucker, 1973.
        """
        import cv2

        if tolerance is None:
            tolerance = max(0.75, 0.003 * window.shape[0])
        found, _ = cv2.findContours(window.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        outlines = tuple(tuple(map(int, cv2.approxPolyDP(line, tolerance, True).ravel())) for line in found)
        height, width = window.shape
        return Polygon((height, width), outlines, origin)

    def window(self) -> Bool:
        """The mask inside its window, bool [h, w]."""
        import cv2

        filled = np.zeros(self.size, np.uint8)
        if self.outlines:
            cv2.fillPoly(filled, [np.array(line, np.int32).reshape(-1, 1, 2) for line in self.outlines], (1,))
        return filled.astype(np.bool_)

    def decode(self, height: int, width: int) -> Bool:
        """The mask in its frame, bool [height, width]; what lies outside of the frame is cut off."""
        return _placed(self, height, width)


def _placed(mask: Mask | Polygon, height: int, width: int) -> Bool:
    full = np.zeros((height, width), np.bool_)
    x, y = mask.origin
    h, w = mask.size
    top, bottom = max(y, 0), min(y + h, height)
    left, right = max(x, 0), min(x + w, width)
    if top < bottom and left < right:
        full[top:bottom, left:right] = mask.window()[top - y : bottom - y, left - x : right - x]
    return full


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The people of one frame as parallel arrays of N rows.

    Attributes:
        boxes: float32 [N, 4], x1, y1, x2, y2 in pixels of the source frame.
        scores: float32 [N], 0..1.
        keypoints: float32 [N, 17, 3], x, y in pixels of the source frame and a score 0..1; score 0 = not estimated.
        ids: int64 [N], unique within one stream and epoch; `UNTRACKED` before the tracker.
        masks: N masks, None where none was asked for; the empty tuple stands for N times None.
        predicted: bool [N], True where nobody looked at the person in this frame and the keypoints were carried on;
            whether because it was not the person's turn, or because he or she is `hidden`.
        velocity: float32 [N, 2], of the box centre, pixels per second.
        frame_size: height and width of the frame, needed by `mask`.
    """

    boxes: Float
    scores: Float
    keypoints: Float
    ids: Int
    masks: tuple[Mask | Polygon | None, ...]
    predicted: Bool
    velocity: Float
    frame_size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.boxes)

    @staticmethod
    def untracked(
        boxes: Float,
        scores: Float,
        keypoints: Float | None = None,
        masks: tuple[Mask | Polygon | None, ...] = (),
        *,
        frame_size: tuple[int, int],
    ) -> People:
        """People as perception finds them: without ids and motion."""
        n = len(boxes)
        return People(
            boxes=np.asarray(boxes, np.float32).reshape(n, 4),
            scores=np.asarray(scores, np.float32).reshape(n),
            keypoints=np.zeros((n, len(KEYPOINTS), 3), np.float32) if keypoints is None else keypoints,
            ids=np.full(n, UNTRACKED, np.int64),
            masks=masks,
            predicted=np.zeros(n, np.bool_),
            velocity=np.zeros((n, 2), np.float32),
            frame_size=frame_size,
        )

    @staticmethod
    def none(frame_size: tuple[int, int]) -> People:
        """Nobody in a frame of (height, width)."""
        return People.untracked(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), frame_size=frame_size)

    @property
    def hidden(self) -> Bool:
        """Who is predicted and has no keypoints, bool [N]: out of sight, unlike those who only were not looked at."""
        return self.predicted & ~self.keypoints[:, :, 2].any(axis=1)

    def rle(self, index: int) -> Mask | Polygon | None:
        """The mask of person `index` as it was sent, or None where none was asked for."""
        return self.masks[index] if self.masks else None

    def mask(self, index: int) -> Bool | None:
        """The mask of person `index`, bool [H, W] of the whole frame, decoded now; None where none was asked for."""
        rle = self.rle(index)
        return None if rle is None else rle.decode(*self.frame_size)

    def __getitem__(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_] | slice) -> People:
        """The people of these rows (indices, a boolean mask or a slice), as copies or views like numpy."""
        picked = np.arange(len(self))[rows]
        return replace(
            self,
            boxes=self.boxes[picked],
            scores=self.scores[picked],
            keypoints=self.keypoints[picked],
            ids=self.ids[picked],
            masks=tuple(self.masks[i] for i in picked) if self.masks else (),
            predicted=self.predicted[picked],
            velocity=self.velocity[picked],
        )


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """What the graph says of one frame; what a subscriber receives.

    Attributes:
        stream, epoch, seq, pts, captured_at, clock: as in `Frame`.
        published_at: seconds since 1970 (UTC) at which the result left the graph.
        width, height: of the source frame, pixels.
        people: everybody in the frame.
    """

    stream: str
    epoch: int
    seq: int
    pts: float
    captured_at: float
    clock: Clock
    published_at: float
    width: int
    height: int
    people: People


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a stream is; published when it starts and whenever it changes.

    Attributes:
        stream: id of the stream.
        epoch: the connection it describes.
        source: where it comes from, without credentials.
        width, height: pixels; fps: nominal frames per second, 0 where unknown.
        frames: how many frames a file holds, 0 where unknown or endless.
        models: role ("detector", "pose", "masks") -> name in the zoo.
        run: set by the publisher; another one than before says that `seq` has begun anew.
        replay: set by the publisher: where missed frames can be fetched, "" for nowhere; see `docs/wire.md`.
    """

    stream: str
    epoch: int
    source: str
    width: int
    height: int
    fps: float
    frames: int = 0
    models: dict[str, str] = field(default_factory=dict)
    keypoints: tuple[str, ...] = KEYPOINTS
    skeleton: tuple[tuple[int, int], ...] = SKELETON
    run: str = ""
    replay: str = ""
