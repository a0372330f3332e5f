"""RTMDet-Ins: its size, its names, its agreement with OpenMMLab's own, and the detector around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.cspnext import Scale
from models.detect.rtmdet import SCALES, RTMDet
from models.errors import CheckpointError
from models.joint.rtmdet_ins import RTMDetIns
from models.joint.rtmdet_ins_task import RTMDetInsDetector, rtmdet_ins_detector
from models.serving import DetectorOptions
from models.tasks import Float, Image
from tests.models.compiling import EagerCompile, weights_of
from tests.models.golden import assert_close, eager, pixels, published_state
from tests.models.graphs import scrambled
from tests.oracles import openmmlab

GOLDEN = Path(__file__).parent / "golden" / "rtmdet_ins_tiny.npz"
SIZE = (64, 96)
ANCHORS = sum((SIZE[0] // stride) * (SIZE[1] // stride) for stride in (8, 16, 32))


def blank(height: int, width: int) -> Image:
    return np.zeros((height, width, 3), np.uint8)


class Sees:
    """A runner that predicts so many boxes of 8 x 8 pixels per image, each filled by its mask."""

    def __init__(self, *people: int) -> None:
        self.people = people

    def __call__(self, pixels: Image) -> tuple[Float, ...]:
        raw = np.full((len(pixels), ANCHORS, 5), -12, np.float32)
        kernels = np.zeros((len(pixels), ANCHORS, 169), np.float32)
        kernels[..., -1] = 1  # the last bias
        for row, people in enumerate(self.people):
            raw[row, :people] = [0, 0, 8, 8, 2]
        return raw, kernels, np.zeros((len(pixels), 8, SIZE[0] // 8, SIZE[1] // 8), np.float32)


@pytest.mark.parametrize(("size", "millions"), [("tiny", 5.64), ("s", 10.18), ("m", 27.58)])
def test_a_size_has_another_number_of_parameters_than_published(size: str, millions: float) -> None:
    with torch.device("meta"):
        parameters = sum(tensor.numel() for tensor in RTMDetIns(SCALES[size]).parameters())
    assert round(parameters / 1e6, 2) == millions


def test_a_tensor_is_named_or_shaped_otherwise_than_published() -> None:
    with torch.device("meta"):
        state = RTMDetIns(SCALES["tiny"]).state_dict()
    assert openmmlab.digest(state) == str(np.load(GOLDEN)["names"])
    assert {
        "bbox_head.reg_convs.0.0.conv.weight",
        "bbox_head.kernel_convs.2.1.bn.weight",
        "bbox_head.rtm_kernel.1.bias",
        "bbox_head.mask_head.fusion_conv.bias",
        "bbox_head.mask_head.stacked_convs.3.bn.bias",
        "bbox_head.mask_head.projection.weight",
    } <= state.keys()


def golden_network() -> tuple[RTMDetIns, np.lib.npyio.NpzFile]:
    golden = np.load(GOLDEN)
    state = published_state(RTMDetIns(SCALES["tiny"]), golden["gain"])
    return RTMDetIns.from_checkpoint(state).keep_classes([0]), golden


def test_the_outputs_are_not_those_of_openmmlab() -> None:
    net, golden = golden_network()
    for made in (net, net.fuse()):
        raw, kernels, prototypes = eager(made)(pixels())
        np.testing.assert_allclose(raw, golden["raw"], rtol=1e-5, atol=2e-4)
        assert_close(kernels[:, openmmlab.SHOWN], golden["kernels"])
        assert_close(prototypes, golden["prototypes"])


def test_boxes_and_masks_are_not_those_of_openmmlab() -> None:
    net, golden = golden_network()
    found = RTMDetInsDetector(eager(net), openmmlab.SIZE, openmmlab.SCORE, openmmlab.IOU)(openmmlab.images())
    for number, boxes in enumerate(found):
        assert len(boxes.scores) >= 60
        assert_close(boxes.xyxy, golden[f"boxes{number}"])
        assert_close(boxes.scores, golden[f"scores{number}"])
        assert boxes.masks is not None
        whole = np.unpackbits(golden[f"masks{number}"], axis=-1).astype(bool)
        shares = []
        for window, mask in zip(boxes.masks(), whole, strict=True):
            assert window is not None
            (x, y), (height, width) = window.origin, window.bitmap.shape
            expected = mask[y : y + height, x : x + width]
            assert (window.bitmap != expected).sum() <= 1  # a logit of 0
            shares.append(expected.mean())
        assert sum(0.05 < share < 0.95 for share in shares) >= 5


def test_a_checkpoint_of_an_rtmdet_without_masks_is_taken() -> None:
    with pytest.raises(CheckpointError, match=r"do not fit RTMDetIns: \d+ tensors missing"):
        RTMDetIns.from_checkpoint(RTMDet(Scale(1 / 6, 1 / 8), 2).state_dict())
    with pytest.raises(CheckpointError, match="not of an RTMDet-Ins: they lack"):
        RTMDetIns.from_checkpoint({})


def test_a_published_file_does_not_become_a_detector_that_gives_masks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save({"state_dict": scrambled(RTMDetIns(Scale(1 / 6, 1 / 8))).state_dict()}, tmp_path / "tiny.pth")
    compiled = EagerCompile()
    options = DetectorOptions(SIZE, score=1e-3, max_people=3)
    detector = rtmdet_ins_detector(weights_of("rtmdet-ins-tiny", tmp_path / "tiny.pth"), compiled, options)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in compiled.networks[""].modules())
    first, second = detector([np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8), blank(40, 40)])
    for boxes in (first, second):
        assert boxes.masks is not None and len(boxes.masks()) == len(boxes.scores) <= 3


def test_nobody_in_sight_and_sixty_people_in_one_batch_get_mixed_up() -> None:
    nobody, sixty = RTMDetInsDetector(Sees(0, 60), SIZE)([blank(64, 96), blank(128, 192)])
    assert nobody.masks is not None and nobody.masks() == []
    assert nobody.xyxy.shape == (0, 4)
    assert sixty.masks is not None
    windows = sixty.masks()
    assert len(windows) == len(sixty.scores) == 60
    assert all(window is not None and window.bitmap.shape == (16, 16) and window.bitmap.all() for window in windows)
    assert RTMDetInsDetector(Sees(), SIZE)([]) == []


def test_openvino_bakes_the_number_of_images_in() -> None:
    pytest.importorskip("openvino")
    from models.backends import CompileSpec, Input
    from models.backends.openvino import OpenVINOBackend
    from models.backends.pixels import FromPixels

    torch.manual_seed(0)
    net = scrambled(RTMDetIns(Scale(1 / 6, 1 / 8), 1)).fuse()
    run = OpenVINOBackend().compile(FromPixels(net, net.pixels), CompileSpec((Input.pixels(*SIZE),), "float32", 1))
    for rows in (1, 3):
        frames = np.random.default_rng(0).integers(0, 256, (rows, *SIZE, 3), np.uint8)
        for output, expected in zip(run(frames), eager(net)(frames), strict=True):
            np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-3)
