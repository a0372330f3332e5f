"""The plainest chain of the default weights, the oracle of our own: ONNX Runtime, one image and one person at a time.

It shares no code with `models` on purpose, and prefers the obvious way over the fast one.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import numpy_helper

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

HEADS = {8: ("807", "808", "809"), 16: ("826", "827", "828"), 32: ("845", "846", "847")}
"""Stride -> class, box and objectness tensors of yolox_tiny_8xb8-300e_humanart-6f3252f9.onnx."""

MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])


class Found(NamedTuple):
    """The people of one image: `boxes` [N, 4] x1 y1 x2 y2 and `keypoints` [N, 17, 3] in its pixels, `scores` [N]."""

    boxes: Array
    scores: Array
    keypoints: Array


class Chain:
    """YOLOX at `size` x `size`, then RTMPose on each of its boxes."""

    def __init__(self, yolox: Path, rtmpose: Path, size: int = 640, threads: int = 1) -> None:
        self.size = size
        self.yolox = session(yolox_heads(yolox, size, size).SerializeToString(), threads)
        self.rtmpose = session(rtmpose.read_bytes(), threads)

    def __call__(self, image: Image, score: float = 0.01, iou: float = 0.65) -> Found:
        """The people in `image`, uint8 [H, W, 3] BGR, whose score reaches `score`."""
        boxes, scores = self.detect(image, score, iou)
        keypoints = [self.pose(image, box) for box in boxes]
        return Found(boxes, scores, np.array(keypoints, np.float32).reshape(-1, 17, 3))

    def detect(self, image: Image, score: float, iou: float) -> tuple[Array, Array]:
        """Boxes, best first, and their scores."""
        height, width = image.shape[:2]
        ratio = min(self.size / height, self.size / width)
        square = np.full((self.size, self.size, 3), 114, np.uint8)
        small = cv2.resize(image, (int(width * ratio), int(height * ratio)), interpolation=cv2.INTER_LINEAR)
        square[: small.shape[0], : small.shape[1]] = small
        outputs = self.yolox.run(None, {"input": square.transpose(2, 0, 1)[None].astype(np.float32)})
        boxes, scores = decode(outputs)
        enough = scores >= score
        boxes, scores = suppress(boxes[enough], scores[enough], iou)
        boxes = np.clip(boxes / ratio, 0, [width, height, width, height])
        return boxes.astype(np.float32), scores

    def pose(self, image: Image, box: Array) -> Array:
        """The 17 keypoints [17, 3] of the person in `box`."""
        x1, y1, x2, y2 = box.astype(float)
        centre = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
        width = max(x2 - x1, (y2 - y1) * 192 / 256) * 1.25
        shrink = 192 / width
        affine = np.array([[shrink, 0, 96 - shrink * centre[0]], [0, shrink, 128 - shrink * centre[1]]])
        crop = cv2.warpAffine(image, affine, (192, 256), flags=cv2.INTER_LINEAR)
        pixels = (crop[..., ::-1] - MEAN) / STD
        x, y = self.rtmpose.run(None, {"input": pixels.transpose(2, 0, 1)[None].astype(np.float32)})
        x, y = x[0, :17], y[0, :17]
        places = np.stack([x.argmax(1), y.argmax(1)], axis=1) / 2
        places = (places - [96, 128]) * width / 192 + centre
        confidence = np.clip(np.minimum(x.max(1), y.max(1)), 0, 1)
        return np.concatenate([places, confidence[:, None]], axis=1).astype(np.float32)


def session(model: bytes, threads: int) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the processor that does not keep a core busy while it waits."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # it would warn of every constant that the cut has left over
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def yolox_heads(path: Path, height: int, width: int) -> onnx.ModelProto:
    """The shipped YOLOX for inputs of height x width, cut off behind its nine raw outputs.

    Two reshapes of the Focus hold half of the size as constants; what follows the outputs holds more of them.
    """
    model = onnx.load(path)
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    sizes[2].dim_value, sizes[3].dim_value = height, width
    for tensor in model.graph.initializer:
        if tensor.name == "493":
            halves = np.array([1, 3, height // 2, 2, -1, 2], np.int64)
        elif tensor.name == "508":
            halves = np.array([1, 12, height // 2, width // 2], np.int64)
        else:
            continue
        tensor.CopyFrom(numpy_helper.from_array(halves, tensor.name))
    names = [name for head in HEADS.values() for name in head]
    last = max(i for i, node in enumerate(model.graph.node) if node.output[0] in names)
    del model.graph.node[last + 1 :], model.graph.output[:], model.graph.value_info[:]
    for name in names:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return model


def decode(outputs: list[Array]) -> tuple[Array, Array]:
    """All boxes [A, 4] in pixels of the network's input, and their scores as a person [A]."""
    boxes, scores = [], []
    for level, stride in enumerate(HEADS):
        classes, box, objectness = (output[0] for output in outputs[3 * level : 3 * level + 3])
        rows, columns = np.mgrid[: box.shape[1], : box.shape[2]]
        x, y = (box[0] + columns) * stride, (box[1] + rows) * stride
        w, h = np.exp(box[2]) * stride, np.exp(box[3]) * stride
        boxes.append(np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=-1).reshape(-1, 4))
        scores.append((sigmoid(classes[0]) * sigmoid(objectness[0])).ravel())
    return np.concatenate(boxes), np.concatenate(scores)


def sigmoid(x: Array) -> Array:
    """The logistic function."""
    return np.float32(1) / (np.float32(1) + np.exp(-x))


def suppress(boxes: Array, scores: Array, limit: float) -> tuple[Array, Array]:
    """Greedy non-maximum suppression: a box goes where a better one overlaps it by more than `limit`."""
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes[order], scores[order]
    kept: list[int] = []
    for i, box in enumerate(boxes):
        if all(overlap(box, boxes[j]) <= limit for j in kept):
            kept.append(i)
    return boxes[kept], scores[kept]


def overlap(a: Array, b: Array) -> float:
    """Intersection over union of two boxes."""
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    intersection = width * height
    return float(intersection / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - intersection))
