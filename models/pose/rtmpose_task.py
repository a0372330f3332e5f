"""The pose estimator around RTMPose: images and boxes in, the keypoints of everybody out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models import agreement
from models.backends.base import Input, Source
from models.backends.device_runner import DeviceRunner
from models.backends.parity import probe
from models.errors import CheckpointError
from models.pose import simcc
from models.pose.crops import Crops
from models.pose.flip import averaged
from models.serving import COCO_KEYPOINTS, Compile, PoseOptions, Weights, random_network
from models.tasks import Float, Image, PoseEstimator, Runner

if TYPE_CHECKING:
    from models.pose.rtmpose import RTMPose

BEGIN_WITH_COCO = (17, 26, 133)
"""Sizes of the published sets of keypoints that begin with COCO's: COCO's own, Halpe's, and those of the whole body."""


@dataclass(frozen=True)
class RTMPoseEstimator:
    """Serves `models.tasks.PoseEstimator` with an RTMPose: every person is cut out and looked at alone.

    Attributes:
        run: the compiled network; its two outputs are as `RTMPose.forward` describes them.
        size: height and width of its input, pixels.
        padding: how many times the box's width or height a crop shows.
        max_batch: persons per call of the network.
        flip_test: whether everybody is looked at twice, once mirrored.
    """

    run: Runner
    size: tuple[int, int] = (256, 192)
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
        counts = [len(of_image) for of_image in boxes]
        keypoints = np.zeros((sum(counts), COCO_KEYPOINTS, 3), np.float32)
        owners = [image for image, count in zip(images, counts, strict=True) for _ in range(count)]
        crops = Crops.around(np.concatenate([*boxes, np.zeros((0, 4), np.float32)]), self.size, self.padding)
        for first in range(0, len(owners), self.max_batch):
            batch = slice(first, first + self.max_batch)
            places, scores = simcc.decode(*self._look(crops[batch].cut(owners[batch])))
            keypoints[batch, :, :2] = crops[batch].to_image(places)
            keypoints[batch, :, 2] = scores
        return np.split(keypoints, np.cumsum(counts)[:-1]) if counts else []

    def _look(self, pixels: Image) -> tuple[Float, Float]:
        x, y = (axis[:, :COCO_KEYPOINTS] for axis in self.run(pixels))
        if not self.flip_test:
            return x, y
        mirrored_x, mirrored_y = (axis[:, :COCO_KEYPOINTS] for axis in self.run(pixels[:, :, ::-1]))
        return averaged(x, mirrored_x, along_x=True), averaged(y, mirrored_y, along_x=False)


def rtmpose_estimator(weights: Weights, compile_network: Compile, options: PoseOptions) -> PoseEstimator:
    """An estimator with the weights of OpenMMLab, as published or exported to ONNX.

    It is recentred: in bfloat16 it loses .004 AP of keypoints so, and .037 without; docs/models.md has the figures.

    Raises:
        CheckpointError: the file does not hold an RTMPose for COCO's keypoints.
    """

    def make() -> Source:
        import torch

        from models.backends.pixels import FromPixels, normalised
        from models.recentre import recentre

        network = load_rtmpose(weights).keep_keypoints(COCO_KEYPOINTS).fuse()
        pixels = Input.pixels(*network.size)
        (pictures,) = probe((pixels,), rows=4)
        recentre(network, normalised(torch.from_numpy(pictures), network.pixels))
        return Source(FromPixels(network, network.pixels), (pixels,), _objection)

    ready = compile_network(make, lowest="bfloat16")
    height, width, _ = ready.inputs[0].shape
    if isinstance(ready.run, DeviceRunner):
        from models.device.rtmpose_task import RTMPoseOnDevice

        return RTMPoseOnDevice(ready.run, (height, width), flip_test=options.flip_test)
    return RTMPoseEstimator(ready.run, (height, width), flip_test=options.flip_test)


def _objection(outputs: tuple[Float, ...], reference: tuple[Float, ...]) -> str:
    """A `models.backends.base.Judge` of the keypoints."""
    (places, _), (expected, scores) = (simcc.decode(x, y) for x, y in (outputs, reference))
    sure = scores >= agreement.SURE
    return agreement.moved("keypoints", places[sure], expected[sure])


def load_rtmpose(weights: Weights) -> RTMPose:
    """The network, answering for all the keypoints of its file.

    Raises:
        CheckpointError: the file does not hold an RTMPose, or one for hands, faces or another skeleton than COCO's.
    """
    from models.formats import onnx, pth
    from models.pose.rtmpose import SCALES, RTMPose

    if weights.path is None:
        arguments = weights.entry.arguments
        return random_network(lambda: RTMPose(SCALES[str(arguments["scale"])], int(arguments["keypoints"])))
    if weights.format == "onnx":
        network = RTMPose.from_onnx(onnx.read(weights.path))
    else:
        network = RTMPose.from_checkpoint(pth.read(weights.path))
    if network.head.wanted not in BEGIN_WITH_COCO:
        raise CheckpointError(
            f"{weights.path} finds {network.head.wanted} keypoints, another skeleton than COCO's; give weights for "
            f"{', '.join(map(str, BEGIN_WITH_COCO[:-1]))} or {BEGIN_WITH_COCO[-1]}, of which the first 17 are COCO's"
        )
    return network
