"""The segmenter around MobileSAM: images and boxes in, the mask of everybody out."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch

from models.backends.base import Input, Source
from models.backends.pixels import FromPixels
from models.segment import roi
from models.segment.mobilesam import MobileSAM, load_mobilesam
from models.segment.sam_decoder import SIDE
from models.segment.tiny_vit import CHANNELS, STRIDE
from models.serving import Compile, Weights
from models.tasks import Bool, Float, Image, Runner, TensorRunner, Window

BORDER = 0.05
"""How far the encoder sees beyond all boxes together on each side, of their width and height."""

SMALLEST = 256
"""Pixels of the image that the encoder sees at least, in both directions: a lone distant person has surroundings."""

SHAPE_STEP = 64
"""Both sides of the encoder's input are multiples of it: a backend gets ready for every shape when it first sees it."""

CLIP = 0.02
"""How far a mask may reach out of its box on each side, of the box's width and height."""

WINDOW_STEP = 4
"""Both sides of a window are multiples of it, cells: people with windows of one size share a call of the decoder."""

LOGITS = 4
"""Logits per cell of the embedding, in both directions."""

_log = logging.getLogger(__name__)


class View(NamedTuple):
    """The part of an image that the encoder sees.

    Attributes:
        part: left, top, right, bottom in pixels of the image; the latter two exclusive.
        filled: width and height that it takes at the top left of the input, pixels.
        size: width and height of the input.
    """

    part: roi.Rectangle
    filled: tuple[int, int]
    size: tuple[int, int]

    @staticmethod
    def around(boxes: Float, width: int, height: int, side: int) -> View:
        """The view of `boxes`, float32 [N, 4], in an image; the longer side of the input is `side`."""
        limits = np.array([width, height])
        low, high = np.clip(boxes[:, :2].min(0), 0, limits), np.clip(boxes[:, 2:].max(0), 0, limits)
        extent = np.rint(np.maximum((high - low) * (1 + 2 * BORDER), SMALLEST))
        extent = np.minimum(extent, limits).astype(int)
        start = np.clip((low + high - extent) / 2, 0, limits - extent).astype(int)
        filled = np.maximum(np.rint(extent * side / extent.max()), 1).astype(int)
        size = -(-filled // SHAPE_STEP) * SHAPE_STEP
        (left, top), (right, bottom) = start.tolist(), (start + extent).tolist()
        return View((left, top, right, bottom), (int(filled[0]), int(filled[1])), (int(size[0]), int(size[1])))

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the input per pixel of the image, in x and y."""
        left, top, right, bottom = self.part
        return self.filled[0] / (right - left), self.filled[1] / (bottom - top)

    def to_input(self, boxes: Float) -> Float:
        """Boxes, float32 [N, 4], in pixels of the image, in pixels of the input."""
        moved: Float = ((boxes - np.tile(self.part[:2], 2)) * np.tile(self.scale, 2)).astype(np.float32)
        return moved

    def pixels(self, image: Image) -> Image:
        """The input, uint8 [1, H, W, 3], filled up at the right and the bottom with the mean of all images."""
        left, top, right, bottom = self.part
        width, height = self.filled
        input_ = np.empty((1, self.size[1], self.size[0], 3), np.uint8)
        input_[:] = np.rint(MobileSAM.pixels.mean[::-1])
        part = image[top:bottom, left:right]
        filter_ = cv2.INTER_AREA if width < right - left else cv2.INTER_LINEAR
        input_[0, :height, :width] = cv2.resize(part, self.filled, interpolation=filter_)
        return input_


class _Person(NamedTuple):
    """One whose mask is wanted.

    Attributes:
        image, row: where the mask belongs.
        view: of the image.
        embedding: float32 [256, H, W], of the view.
        box: float32 [4], in pixels of the input.
        cells: the window of the embedding that the decoder sees.
        clip: the window of the image that the mask is cut to.
    """

    image: int
    row: int
    view: View
    embedding: Float
    box: Float
    cells: roi.Rectangle
    clip: roi.Rectangle

    @property
    def size(self) -> tuple[int, int]:
        left, top, right, bottom = self.cells
        return right - left, bottom - top

    def window_of(self, cells: Float) -> Float:
        """Of [256, H, W], what lies in the person's window."""
        left, top, right, bottom = self.cells
        return cells[:, top:bottom, left:right]

    def mask(self, logits: Float) -> Bool:
        """Where the logits of the window, float32 [h, w], are positive, seen in `clip`."""
        left, top, right, bottom = self.clip
        # Pixels and logits both have their centre at a half: step and start of each, in logits.
        step = np.array(self.view.scale) * (LOGITS / STRIDE)
        start = (np.array((left, top)) + 0.5 - self.view.part[:2]) * step - 0.5 - LOGITS * np.array(self.cells[:2])
        matrix = np.column_stack([np.diag(step), start])
        flags, border = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
        warped = cv2.warpAffine(logits, matrix, (right - left, bottom - top), flags=flags, borderMode=border)
        mask: Bool = warped > 0
        return mask


@dataclass(frozen=True, eq=False)
class MobileSAMSegmenter:
    """Serves `models.tasks.Segmenter` with a MobileSAM that is prompted by the boxes.

    The encoder looks once at the part of an image in which there are people, however many; the decoder then looks at
    everybody's window of the embedding, or at all of it. A mask is where a logit is above 0, cut to the person's box
    and `CLIP` more. Its score is the intersection over union that the network itself expects: multiplied with the
    person's own it ranks masks better than that alone, a mask AP of .411 instead of .406 on 85 images of COCO val2017.

    Attributes:
        encode: the compiled encoder: pixels [1, H, W, 3], of any multiples of 64, to embeddings [1, 256, H/16, W/16].
        decode: the compiled decoder, see `MobileSAM.forward`.
        prompt: see `PromptEncoder.forward`.
        places: float32 [256, 64, 64], see `PromptEncoder.places`.
        margin: cells of the embedding that a window has on each side of the box; 64 for the whole of it.
        side: longer side of the encoder's input, pixels; a multiple of 64, 1024 at most.
        max_batch: persons per call of the decoder.
    """

    encode: Runner
    decode: TensorRunner
    prompt: Callable[[Float], Float]
    places: Float
    margin: int
    side: int = SIDE
    max_batch: int = 16

    def __call__(
        self, images: Sequence[Image], boxes: Sequence[Float], keypoints: Sequence[Float]
    ) -> list[list[Window | None]]:
        """Masks of everybody in `images`, uint8 [H, W, 3] BGR of any sizes.

        Args:
            images: B images.
            boxes: of each image float32 [N, 4], x1, y1, x2, y2 in its pixels.
            keypoints: of each image; they do not matter.

        Returns:
            Of each image N windows; None for a person in whose box no pixel of the image lies.
        """
        found: list[list[Window | None]] = [[None] * len(of_image) for of_image in boxes]
        groups: dict[tuple[int, int], list[_Person]] = defaultdict(list)
        for number, (image, of_image, _) in enumerate(zip(images, boxes, keypoints, strict=True)):
            for person in self._people(number, image, of_image):
                groups[person.size].append(person)
        for people in groups.values():
            for first in range(0, len(people), self.max_batch):
                batch = people[first : first + self.max_batch]
                for person, window in zip(batch, self._windows(batch), strict=True):
                    found[person.image][person.row] = window
        return found

    def _people(self, number: int, image: Image, boxes: Float) -> Iterator[_Person]:
        """Everybody in an image whose mask can be had, after the encoder has looked at it."""
        height, width = image.shape[:2]
        seen = roi.windows(boxes, width, height)
        rows = np.flatnonzero(np.isfinite(boxes).all(1) & (seen[:, 2:] > seen[:, :2]).all(1))
        if missing := len(boxes) - len(rows):
            _log.debug("no mask for %d people outside of the image", missing)
        if len(rows) == 0:
            return
        boxes = boxes[rows]
        view = View.around(boxes, width, height, self.side)
        (embedding,) = self.encode(view.pixels(image))[0]
        reach = CLIP * (boxes[:, 2:] - boxes[:, :2])
        clips = roi.windows(np.concatenate([boxes[:, :2] - reach, boxes[:, 2:] + reach], 1), width, height)
        placed = view.to_input(boxes)
        cells = windows(placed, (embedding.shape[2], embedding.shape[1]), self.margin)
        for row, box, window, clip in zip(rows.tolist(), placed, cells, clips.tolist(), strict=True):
            yield _Person(number, row, view, embedding, box, window, tuple(clip))

    def _windows(self, people: Sequence[_Person]) -> Iterator[Window]:
        """The masks of people whose windows have the same size."""
        embeddings = np.stack([person.window_of(person.embedding) for person in people])
        places = np.stack([person.window_of(self.places) for person in people])
        prompts = self.prompt(np.stack([person.box for person in people]))
        for person, logits, overlap in zip(people, *self.decode(embeddings, places, prompts), strict=True):
            yield Window(person.mask(logits[0]), person.clip[:2], float(np.clip(overlap[0], 0, 1)))


def windows(boxes: Float, limits: tuple[int, int], margin: int) -> list[roi.Rectangle]:
    """The cells around each box that the decoder sees, left, top, right, bottom (the latter exclusive).

    Args:
        boxes: float32 [N, 4] in pixels of the encoder's input.
        limits: width and height of the embedding, cells; multiples of `WINDOW_STEP`.
        margin: cells on each side of the box, or more to make the sides multiples of `WINDOW_STEP`.
    """
    low = np.clip(np.floor(boxes[:, :2] / STRIDE) - margin, 0, np.array(limits) - 1)
    high = np.clip(np.ceil(boxes[:, 2:] / STRIDE) + margin, low + 1, limits)
    extent = np.minimum(np.ceil((high - low) / WINDOW_STEP) * WINDOW_STEP, limits)
    low = np.minimum(low, limits - extent)
    edges = np.concatenate([low, low + extent], 1).astype(int).tolist()
    return [(left, top, right, bottom) for left, top, right, bottom in edges]


def mobilesam_segmenter(weights: Weights, compile_network: Compile) -> MobileSAMSegmenter:
    """A segmenter with the published weights; the zoo says the `margin` of its windows.

    In bfloat16 its masks agree with their float32 form at an IoU of .992 and score the same AP; docs/models/
    mobilesam.md has the figures.

    Raises:
        CheckpointError: the file does not hold a MobileSAM.
    """
    network = load_mobilesam(weights).fuse()

    def encoder() -> Source:
        pictures = Input((256, 512, 3), "uint8", free=(0, 1))
        return Source(FromPixels(network.image_encoder, network.pixels), (pictures,))

    def decoder() -> Source:
        window = Input((CHANNELS, 24, 20), free=(1, 2))
        return Source(network, (window, window, Input((2, CHANNELS))))

    encode = compile_network(encoder, lowest="bfloat16", part="encoder").run
    decode = compile_network(decoder, lowest="bfloat16", part="decoder").run

    # Outside of the compiled networks, for in bfloat16 a place would be known to no more than some pixels.
    @torch.inference_mode()
    def prompt(boxes: Float) -> Float:
        prompts: Float = network.prompt_encoder(torch.from_numpy(boxes)).numpy()
        return prompts

    places = network.prompt_encoder.places().numpy()
    return MobileSAMSegmenter(encode, decode, prompt, places, int(weights.entry.arguments["margin"]))
