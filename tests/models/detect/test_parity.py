"""Our YOLOX against ONNX Runtime running the published file, on real frames."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from models.backends.pixels import FromPixels
from models.detect.letterbox import letterbox
from models.detect.yolox import YOLOX
from models.detect.yolox_task import YOLOXDetector
from models.formats import onnx as onnx_format
from models.tasks import Float, Image
from tests.oracles.onnxruntime_chain import HEADS, Chain, session, yolox_heads
from tests.oracles.pretrained import RTMPOSE, pretrained, real_frames
from tests.oracles.pretrained import YOLOX as NAME

pytestmark = pytest.mark.weights


def network() -> YOLOX:
    return YOLOX.from_onnx(onnx_format.read(pretrained(NAME)))


def test_raw_outputs_are_those_of_onnx_runtime() -> None:
    path = pretrained(NAME)
    model = onnx.load(path)
    names = [name for head in HEADS.values() for name in head]
    for name in names:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    reference = session(model.SerializeToString(), threads=1)
    net = network()
    pixels, _ = letterbox(real_frames(), (416, 416))
    for image in pixels.transpose(0, 3, 1, 2)[:, None].astype(np.float32):
        heads = reference.run(names, {"input": image})
        levels = [
            np.concatenate([box, objectness, classes], axis=1).reshape(85, -1)
            for classes, box, objectness in (heads[i : i + 3] for i in (0, 3, 6))
        ]
        with torch.inference_mode():
            (raw,) = net(torch.from_numpy(image)).numpy()
        expected = np.concatenate(levels, axis=1).T
        np.testing.assert_allclose(np.maximum(raw, -10), np.maximum(expected, -10), rtol=0, atol=1e-4)
        # Of the background the logits go down to -40, where float32 itself is not exact to 1e-4.
        np.testing.assert_allclose(raw, expected, rtol=2e-5, atol=1e-4)


def test_an_oblong_input_gives_what_the_patched_graph_gives() -> None:
    reference = session(yolox_heads(pretrained(NAME), 480, 640).SerializeToString(), threads=1)
    pixels, _ = letterbox(real_frames()[:1], (480, 640))
    image = pixels.transpose(0, 3, 1, 2).astype(np.float32)
    objectness = [output.ravel() for output in reference.run([head[2] for head in HEADS.values()], {"input": image})]
    with torch.inference_mode():
        raw = network()(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(raw[0, :, 4], np.concatenate(objectness), rtol=2e-5, atol=1e-4)


def test_the_boxes_are_those_of_the_plain_chain() -> None:
    frames = real_frames()[:3]
    chain = Chain(pretrained(NAME), pretrained(RTMPOSE))
    deployed = FromPixels(network().keep_classes([0]), YOLOX.pixels)

    @torch.inference_mode()
    def run(pixels: Image) -> tuple[Float, ...]:
        return tuple(output.numpy() for output in deployed(torch.from_numpy(pixels)))

    found = YOLOXDetector(run, (640, 640), score=0.05)(frames)
    for frame, boxes in zip(frames, found, strict=True):
        expected, scores = chain.detect(frame, score=0.05, iou=0.65)
        assert len(scores) >= 4
        np.testing.assert_allclose(boxes.xyxy, expected, rtol=0, atol=0.05)
        np.testing.assert_allclose(boxes.scores, scores, rtol=0, atol=1e-4)
