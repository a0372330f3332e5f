"""The pose estimator of heat-map networks: images and boxes in, the keypoints of everybody out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from models.backends.base import Input, Source
from models.backends.device_runner import DeviceRunner
from models.backends.pixels import FromPixels
from models.formats import pth
from models.pose import heatmaps
from models.pose.crops import Crops
from models.pose.flip import averaged
from models.pose.hourglass import StackedHourglass
from models.pose.hourglass52 import Hourglass52
from models.pose.simplebaseline import Attention, SimpleBaseline
from models.pose.skeletons import COCO, MPII, SKELETONS, Skeleton
from models.residual import fold
from models.serving import COCO_KEYPOINTS, Compile, PoseOptions, Weights, random_network
from models.tasks import IMAGENET, Float, Image, PixelFormat, PoseEstimator, Runner

PIXELS: Mapping[str, PixelFormat] = {
    "imagenet-rgb": IMAGENET,
    # Microsoft trained on BGR with the statistics of RGB, and so their weights want it.
    "imagenet-bgr": replace(IMAGENET, rgb=False),
    # Found by looking at what the published predictor feeds its network: the mean is taken off, nothing divided by.
    "mpii": PixelFormat(rgb=True, mean=(112.302, 113.22, 110.3385), std=(255.0, 255.0, 255.0)),
    "unit": PixelFormat(rgb=True, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0)),
}
"""How the weights of each source want their pixels."""

_STEMS = {"bearpaw": 256, "princeton": 128}
"""Of the stacked hourglass: its argument `stem` in the weights of each source."""

_MIDDLE_OF_FOUR = 1.5
"""The stacked hourglasses were trained with cells that stand for the middle of the pixels 0 to 3 that they cover."""


@dataclass(frozen=True)
class HeatmapEstimator:
    """Serves `models.tasks.PoseEstimator` with a network that makes a heat map per keypoint.

    Attributes:
        run: the compiled network; its outputs are as `SimpleBaseline.forward` describes them.
        size: height and width of its input, pixels.
        skeleton: its keypoints.
        middle: pixels from the first one that a cell of a heat map covers to the one that it stands for.
        padding: how many times the box's width or height a crop shows.
        max_batch: persons per call of the network.
        flip_test: whether everybody is looked at twice, once mirrored.
    """

    run: Runner
    size: tuple[int, int] = (256, 192)
    skeleton: Skeleton = COCO
    middle: float = 0.0
    padding: float = 1.25
    max_batch: int = 32
    flip_test: bool = False

    def __call__(self, images: Sequence[Image], boxes: Sequence[Float]) -> list[Float]:
        """Keypoints of everybody in `images`, uint8 [H, W, 3] BGR of any sizes; all go through the network together.

        Args:
            images: B images.
            boxes: of each image float32 [N, 4], x1, y1, x2, y2 in its pixels.

        Returns:
            Of each image float32 [N, 17, 3]: x and y in its pixels, and a score 0..1, 0 where not found.
        """
        return [np.ascontiguousarray(of_image[..., :3]) for of_image in self.in_depth(images, boxes)]

    def in_depth(self, images: Sequence[Image], boxes: Sequence[Float]) -> list[Float]:
        """As `__call__`, float32 [N, 17, 4]: a fourth number says how far away the keypoint is.

        It is what the network says, in the unit of its training; 0 from a network that says nothing of it.
        """
        counts = [len(of_image) for of_image in boxes]
        keypoints = np.zeros((sum(counts), COCO_KEYPOINTS, 4), np.float32)
        owners = [image for image, count in zip(images, counts, strict=True) for _ in range(count)]
        crops = Crops.around(np.concatenate([*boxes, np.zeros((0, 4), np.float32)]), self.size, self.padding)
        for first in range(0, len(owners), self.max_batch):
            batch = slice(first, first + self.max_batch)
            self._fill(keypoints[batch], crops[batch], crops[batch].cut(owners[batch]))
        return np.split(keypoints, np.cumsum(counts)[:-1]) if counts else []

    def _fill(self, keypoints: Float, crops: Crops, pixels: Image) -> None:
        maps, depths = self._look(pixels)
        places, scores = heatmaps.decode(maps)
        stride = self.size[1] // maps.shape[3]
        keypoints[..., :2] = crops.to_image(places * np.float32(stride) + np.float32(self.middle))
        keypoints[..., 2] = scores
        if depths is not None:
            keypoints[..., 3] = heatmaps.at(depths, heatmaps.peaks(maps)[0])

    def _look(self, pixels: Image) -> tuple[Float, Float | None]:
        """Heat maps and distances of COCO's keypoints, both [B, 17, h, w]."""
        maps, *depths = (self.skeleton.to_coco(output) for output in self.run(pixels))
        if self.flip_test:
            # A mirrored person is as far away: the distances need no second look.
            mirrored = self.skeleton.to_coco(self.run(pixels[:, :, ::-1])[0])
            maps = averaged(maps, mirrored if self.middle else heatmaps.shifted(mirrored), along_x=True)
        return maps, depths[0] if depths else None


def simplebaseline_estimator(weights: Weights, compile_network: Compile, options: PoseOptions) -> PoseEstimator:
    """An estimator with the weights of Microsoft, OpenMMLab or the 3D variant, as published.

    Raises:
        CheckpointError: the file does not hold this SimpleBaseline.
    """
    arguments = weights.entry.arguments
    skeleton = SKELETONS[str(arguments.get("skeleton", "coco"))]
    attention = cast(Attention, arguments.get("attention", "none"))

    def network() -> SimpleBaseline:
        depths = arguments.get("dimensions", 2) == 3
        return SimpleBaseline(int(arguments["depth"]), skeleton.count, attention, depths=depths)

    return _estimator(network, weights, compile_network, options, skeleton)


def hourglass_estimator(weights: Weights, compile_network: Compile, options: PoseOptions) -> PoseEstimator:
    """An estimator with the weights of OpenMMLab's hourglass52, or of bearpaw's or princeton-vl's stacks, as published.

    Raises:
        CheckpointError: the file does not hold this hourglass.
    """
    arguments = weights.entry.arguments
    variant = str(arguments["variant"])
    if variant == "hourglass52":
        return _estimator(Hourglass52, weights, compile_network, options)

    def network() -> StackedHourglass:
        return StackedHourglass(int(arguments["stacks"]), MPII.count, _STEMS[variant])

    return _estimator(network, weights, compile_network, options, MPII, _MIDDLE_OF_FOUR)


def _estimator(
    make: Callable[[], SimpleBaseline | Hourglass52 | StackedHourglass],
    weights: Weights,
    compile_network: Compile,
    options: PoseOptions,
    skeleton: Skeleton = COCO,
    middle: float = 0.0,
) -> PoseEstimator:
    """The network that `make` makes, with its weights, ready to run, and what is done around it."""
    arguments = weights.entry.arguments
    size = int(arguments["height"]), int(arguments["width"])

    def source() -> Source:
        network = random_network(make) if weights.path is None else make().load(pth.read(weights.path))
        return Source(FromPixels(fold(network), PIXELS[str(arguments["pixels"])]), (Input.pixels(*size),))

    run = compile_network(source).run
    if isinstance(run, DeviceRunner):
        from models.device.heatmap_task import HeatmapOnDevice

        return HeatmapOnDevice(run, size, skeleton, middle, flip_test=options.flip_test)
    return HeatmapEstimator(run, size, skeleton, middle, flip_test=options.flip_test)
