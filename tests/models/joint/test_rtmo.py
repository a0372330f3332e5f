"""RTMO: its size, its names, its agreement with OpenMMLab's own, and the detector around it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.detect.csp_darknet import Scale
from models.errors import CheckpointError
from models.joint.rtmo import RTMO, SCALES
from models.joint.rtmo_task import RTMODetector, rtmo_detector
from models.serving import DetectorOptions
from models.tasks import Float, Image
from tests.models.compiling import EagerCompile, weights_of
from tests.models.golden import assert_close, eager, pixels, published_state
from tests.models.graphs import scrambled
from tests.oracles import openmmlab

GOLDEN = Path(__file__).parent / "golden"
SMALL = Scale(1 / 3, 1 / 8)
SIZE = (96, 128)
ANCHORS = SIZE[0] * SIZE[1] // 256 + SIZE[0] * SIZE[1] // 1024


def published(name: str) -> str:
    """What OpenMMLab calls the tensor that is `name` here."""
    layer = "neck.encoder.0.layers.0."
    name = re.sub(r"^neck\.encoder\.in_proj\.", f"{layer}self_attn.attn.in_proj_", name)
    name = re.sub(r"^neck\.encoder\.out_proj\.", f"{layer}self_attn.attn.out_proj.", name)
    name = re.sub(r"^neck\.encoder\.expand\.", f"{layer}ffn.layers.0.0.", name)
    name = re.sub(r"^neck\.encoder\.contract\.", f"{layer}ffn.layers.1.", name)
    name = re.sub(r"^neck\.encoder\.norms\.", f"{layer}norms.", name)
    name = re.sub(r"^head\.", "head.head_module.", name)
    return re.sub(r"^dcc\.", "head.dcc.", name)


def training_only(size: str) -> dict[str, Tensor]:
    """The tensors of a published file that only training needs, or that are constants."""
    hidden, vector = 8 * SCALES[size].channels(36), SCALES[size].channels(512)
    shapes = {f"head.head_module.out_kpt_reg.{level}.weight": (34, hidden, 1, 1) for level in range(2)}
    shapes |= {f"head.head_module.out_kpt_reg.{level}.bias": (34,) for level in range(2)}
    shapes |= {"head.dcc.sigma_fc.0.weight": (17, vector), "head.dcc.sigma_fc.0.bias": (17,)}
    shapes |= {"head.dcc.sigma_fc.2.scale": (), "head.dcc.spe.dim_t": (64,), "neck.sincos_pos_enc.dim_t": (64,)}
    shapes |= {"head.dcc.x_bins": (192,), "head.dcc.y_bins": (256,)}
    return {name: torch.zeros(shape) for name, shape in shapes.items()}


def checkpoint(network: RTMO, size: str) -> dict[str, Tensor]:
    """`network` in the layout that OpenMMLab publishes."""
    return {published(name): tensor for name, tensor in network.state_dict().items()} | training_only(size)


@pytest.mark.parametrize(("size", "millions"), [("t", 6.83), ("s", 9.87), ("m", 22.53)])
def test_a_size_has_another_number_of_parameters_than_published(size: str, millions: float) -> None:
    with torch.device("meta"):
        own = sum(tensor.numel() for tensor in RTMO(SCALES[size]).parameters())
    constants = ("dim_t", "_bins")
    extra = sum(tensor.numel() for name, tensor in training_only(size).items() if not name.endswith(constants))
    assert round((own + extra) / 1e6, 2) == millions


@pytest.mark.parametrize("size", ["t", "m"])
def test_a_tensor_is_named_or_shaped_otherwise_than_published(size: str) -> None:
    with torch.device("meta"):
        state = checkpoint(RTMO(SCALES[size]), size)
    assert openmmlab.digest(state) == str(np.load(GOLDEN / f"rtmo_{size}.npz")["names"])


def golden_network(size: str) -> tuple[RTMO, np.lib.npyio.NpzFile]:
    golden = np.load(GOLDEN / f"rtmo_{size}.npz")
    state = published_state(RTMO(SCALES[size]), golden["gain"], published)
    return RTMO.from_checkpoint(state | training_only(size)), golden


@pytest.mark.parametrize("size", ["t", "m"])
def test_the_outputs_are_not_those_of_openmmlab(size: str) -> None:
    net, golden = golden_network(size)
    for made in (net, net.fuse()):
        raw, poses = eager(made)(pixels())
        assert_close(raw, golden["raw"])
        assert_close(poses[:, openmmlab.SHOWN], golden["poses"])


@pytest.mark.parametrize("size", ["t", "m"])
def test_boxes_and_keypoints_are_not_those_of_openmmlab(size: str) -> None:
    net, golden = golden_network(size)
    net.fuse()
    detector = RTMODetector(eager(net), eager(net.dcc), openmmlab.SIZE, openmmlab.SCORE, openmmlab.IOU, max_batch=7)
    for number, boxes in enumerate(detector(openmmlab.images())):
        # The oracle keeps boxes outside of the image, as boxes of no size, and says where things are in its input.
        xyxy, scale = golden[f"boxes{number}"], openmmlab.SHAPES[number][0] / openmmlab.SIZE[0]
        seen = (xyxy[:, 2:] > xyxy[:, :2]).all(axis=1)
        assert seen.sum() >= 10
        np.testing.assert_allclose(boxes.xyxy, xyxy[seen] * scale, rtol=1e-5, atol=2e-4)
        assert_close(boxes.scores, golden[f"scores{number}"][seen])
        assert boxes.keypoints is not None
        expected = golden[f"keypoints{number}"][seen] * np.array([scale, scale, 1], np.float32)
        np.testing.assert_allclose(boxes.keypoints, expected, rtol=1e-5, atol=5e-4)


def test_the_depth_and_width_of_a_file_are_not_found_out() -> None:
    torch.manual_seed(0)
    trained = scrambled(RTMO(SMALL))
    state = {published(name): tensor for name, tensor in trained.state_dict().items()}
    state |= {"head.loss_oks.sigmas": torch.zeros(17)}
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 255
    with torch.inference_mode():
        for ours, theirs in zip(RTMO.from_checkpoint(state)(images), trained(images), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_a_network_of_another_skeleton_is_taken() -> None:
    state = {published(name): tensor for name, tensor in RTMO(SMALL, keypoints=14).state_dict().items()}
    with pytest.raises(CheckpointError, match="finds 14 keypoints"):
        RTMO.from_checkpoint(state)


def test_weights_of_something_else_are_taken() -> None:
    with pytest.raises(CheckpointError, match=r"not of an RTMO: they lack 'backbone\.stem"):
        RTMO.from_checkpoint({})
    state = {published(name): tensor for name, tensor in RTMO(SMALL).state_dict().items()}
    del state["neck.encoder.0.layers.0.norms.1.bias"]
    with pytest.raises(CheckpointError, match=r"first neck\.encoder\.norms\.1\.bias"):
        RTMO.from_checkpoint(state)


def test_fusing_twice_is_not_fusing_once() -> None:
    torch.manual_seed(0)
    net = scrambled(RTMO(SMALL)).fuse()
    images = torch.rand(2, 3, 64, 96) * 255
    with torch.inference_mode():
        once = net(images)
        twice = net.fuse()(images)
    torch.testing.assert_close(once, twice, rtol=0, atol=0)
    assert not any("branch" in name or ".bn." in name for name in net.state_dict())


class Sees:
    """A runner that predicts so many boxes of 16 x 16 pixels around the first anchors of each image."""

    def __init__(self, *people: int) -> None:
        self.people = people

    def __call__(self, pixels: Image) -> tuple[Float, ...]:
        raw = np.zeros((len(pixels), ANCHORS, 22), np.float32)
        raw[..., 4] = -12
        for row, people in enumerate(self.people):
            raw[row, :people, 4] = 2
            raw[row, :people, 5:] = row
        poses = np.broadcast_to(np.arange(ANCHORS, dtype=np.float32)[:, None], (len(pixels), ANCHORS, 4))
        return raw, poses


class Locates:
    """In place of the second part: keypoint k lies k pixels right of the box's centre; counts the rows of each call."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, poses: Float, regions: Float) -> tuple[Float, ...]:
        self.rows.append(len(poses))
        assert regions.dtype == np.float32
        np.testing.assert_allclose(regions, np.broadcast_to([0, 0, 20, 20], (len(poses), 4)), atol=1e-5)
        steps = np.stack([np.arange(17), np.zeros(17)], axis=1)
        return ((regions[:, None, :2] + steps).astype(np.float32),)


def detect(people: Sequence[int], shapes: Sequence[tuple[int, int]]) -> tuple[list[Float], list[int]]:
    locate = Locates()
    found = RTMODetector(Sees(*people), locate, SIZE)([np.zeros((*shape, 3), np.uint8) for shape in shapes])
    keypoints = [boxes.keypoints for boxes in found]
    assert [len(boxes.scores) for boxes in found] == list(people)
    return [of_image for of_image in keypoints if of_image is not None], locate.rows


def test_the_second_part_is_called_when_there_is_nobody() -> None:
    (keypoints,), rows = detect([0], [(96, 128)])
    assert keypoints.shape == (0, 17, 3) and rows == []
    assert RTMODetector(Sees(), Locates(), SIZE)([]) == []


def test_people_of_several_images_do_not_share_the_calls_of_the_second_part() -> None:
    (first, second, third), rows = detect([1, 0, 47], [(96, 128), (50, 50), (192, 256)])
    assert rows == [32, 16]
    np.testing.assert_allclose(first[0, :, 0], 7.5 + np.arange(17))
    assert first[0, 0, 2] == 0.5 and second.shape == (0, 17, 3)
    np.testing.assert_allclose(third[0, 3], [2 * (7.5 + 3), 2 * 7.5, 1 / (1 + np.exp(-2))], rtol=1e-5)
    assert third.shape == (47, 17, 3) and third.dtype == np.float32


def test_a_published_file_does_not_become_a_detector_that_gives_keypoints(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = scrambled(RTMO(SMALL))
    state = {published(name): tensor for name, tensor in net.state_dict().items()}
    torch.save({"state_dict": state, "meta": {}}, tmp_path / "rtmo.pth")
    compiled = EagerCompile()
    options = DetectorOptions((64, 96), score=1e-3, max_people=3)
    detector = rtmo_detector(weights_of("rtmo-s-coco", tmp_path / "rtmo.pth"), compiled, options)
    assert set(compiled.networks) == {"", "dcc"}
    norms = (torch.nn.BatchNorm2d, torch.nn.BatchNorm1d)
    assert not any(isinstance(part, norms) for network in compiled.networks.values() for part in network.modules())
    (boxes,) = detector([np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)])
    assert boxes.keypoints is not None and boxes.keypoints.shape == (len(boxes.scores), 17, 3)
    assert 0 < len(boxes.scores) <= 3 and np.isfinite(boxes.keypoints).all()


def test_openvino_bakes_the_number_of_images_or_people_in() -> None:
    pytest.importorskip("openvino")
    from models.backends import CompileSpec, Input
    from models.backends.openvino import OpenVINOBackend
    from models.backends.pixels import FromPixels

    torch.manual_seed(0)
    net, dcc = scrambled(RTMO(SMALL)).fuse().parted()
    compile_network = OpenVINOBackend().compile
    run = compile_network(FromPixels(net, net.pixels), CompileSpec((Input.pixels(64, 96),), "float32", 1))
    locate = compile_network(dcc, CompileSpec((Input((net.vector,)), Input((4,))), "float32", 1))
    random = np.random.default_rng(0)
    for rows in (1, 3):
        frames = random.integers(0, 256, (rows, 64, 96, 3), np.uint8)
        poses, regions = random.random((rows, net.vector), np.float32), random.random((rows, 4), np.float32) * 90
        for output, expected in zip(run(frames), eager(net)(frames), strict=True):
            np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(locate(poses, regions)[0], eager(dcc)(poses, regions)[0], rtol=1e-4, atol=1e-3)
