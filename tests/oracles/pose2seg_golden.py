"""What Pose2Seg's own code gives for the inputs made here, kept in `tests/models/segment/golden/pose2seg.npz`.

Usage: python -m tests.oracles.pose2seg_golden FOLDER

FOLDER is a checkout of the authors' code (liruilong940607/Pose2Seg, commit 64fcc5e, MIT). It was written for PyTorch
1.0 on a GPU: here it runs on the processor, `affine_grid` and `grid_sample` align corners as they did then, and the
ImageNet weights that it starts from are not asked for. Its weights are those of `tests.oracles.filled`.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from models.coco import MIRRORED
from models.segment.pose_templates import NAMES, VISIBLE, load_templates
from models.tasks import Float, Image
from tests.oracles.filled import filled

GOLDEN = Path(__file__).parents[1] / "models" / "segment" / "golden" / "pose2seg.npz"
CHANNELS = 8
"""Of the features that are sampled: the original treats all alike."""

TILT = 24.0
"""Added to the logit of the background in the scene: with the filled weights alone everything would be a person."""


def clusters() -> npt.NDArray[np.float64]:
    """The templates of this package before they were doubled: float64 [3, 17, 3]."""
    templates = load_templates()
    half = len(templates.points) // 2
    return np.concatenate([templates.points, templates.valid[..., None] * 2.0], -1)[:half]


def poses(count: int = 40) -> Float:
    """People in pixels of the features, float32 [count, 17, 3] with COCO's flags; turned, shaken and half hidden."""
    random = np.random.default_rng(3)
    people = np.zeros((count, 17, 3))
    templates = clusters()
    for person in people:
        template = templates[random.integers(len(templates))]
        angle, size = random.uniform(-0.7, 0.7), random.uniform(25, 160)
        turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shaken = template[:, :2] - 0.5 + random.normal(0, 0.03, (17, 2))
        person[:, :2] = shaken @ turn.T + random.uniform(30, 98, 2)
        person[:, 2] = np.where(template[:, 2] > 0, random.choice([0, 1, 2], 17, p=[0.15, 0.2, 0.65]), 0)
    people[0, :, 2] = 0
    people[1, 2:, 2] = 0
    people[people[..., 2] == 0] = 0
    return people.astype(np.float32)


def features() -> Float:
    """Features of two images, float32 [2, 128, 128, CHANNELS]."""
    return np.random.default_rng(4).standard_normal((2, 128, 128, CHANNELS), np.float32)


def drawn() -> Float:
    """Two poses in pixels of the maps, float32 [2, 17, 3]; some points lie beyond the left and the upper edge."""
    random = np.random.default_rng(5)
    places = random.uniform(-2, 64, (2, 17, 2))
    return np.concatenate([places, random.integers(0, 3, (2, 17, 1))], -1).astype(np.float32)


def tensor(name: str, *shape: int) -> torch.Tensor:
    """An input of a network."""
    return torch.from_numpy(np.random.default_rng(len(name)).standard_normal(shape, np.float32))


def scene() -> tuple[Image, Float]:
    """A picture and two people in it, float32 [2, 17, 3]: one who fits a template, and one who is too small for any."""
    random = np.random.default_rng(6)
    picture = cv2.resize(random.integers(0, 256, (9, 12, 3), np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    template = np.concatenate([clusters()[0, :, :2], np.full((17, 1), 2)], -1)
    people = np.stack([template * (150, 150, 1) + (60, 40, 0), template * (500, 500, 1) + (-100, -150, 0)])
    people[0, [9, 15], 2] = 0
    return picture, people.astype(np.float32)


def main(folder: Path) -> None:
    """Run the original and write the file."""
    core, sampling, skeletons, build = _original(folder)
    aligner = _aligner(core)
    size = 128, 128, 64, 64
    people = poses()
    matrices = np.array([aligner.align(person, *size, visualize=False)["matrix"][:2] for person in people])
    chosen = matrices[::6]
    bottom = np.tile([[[0.0, 0, 1]]], (len(chosen), 1, 1))
    maps = torch.from_numpy(features()).permute(0, 3, 1, 2)
    squares = sampling.affine_align_gpu(maps, np.arange(len(chosen)) % 2, (64, 64), np.concatenate([chosen, bottom], 1))
    strips = [skeletons.genSkeletons(of[None], 64, 64, 1, 3, 1, visdiff=True) for of in drawn()]
    network = _network(build)
    network.poseAlignOp = aligner
    with torch.inference_mode():
        pyramid = network.backbone(tensor("image", 1, 3, 64, 96))[0]
        logits = network.segnet(tensor("aligned", 1, 311, 64, 64))
        network.segnet.pred_small.bias[0] += TILT
        picture, pair = scene()
        masks = np.array(network([picture], [pair])[0])
    np.savez_compressed(
        GOLDEN,
        matrices=matrices.astype(np.float32),
        squares=squares.numpy()[:, :, ::5, ::5],
        maps=np.array(strips).transpose(0, 3, 1, 2).astype(np.float32),
        pyramid=pyramid.numpy()[:, ::16],
        logits=logits.numpy()[:, :, ::3, ::3],
        masks=np.packbits(masks.astype(bool)),
    )


def _original(folder: Path) -> tuple[Any, Any, Any, Any]:
    sys.path.insert(0, str(folder))
    setattr(np, "mat", np.asmatrix)  # noqa: B010
    torch.Tensor.cuda = lambda self, *_: self
    for name in ("affine_grid", "grid_sample"):
        setattr(F, name, functools.partial(getattr(F, name), align_corners=True))
    resnet = import_module("modeling.resnet")
    resnet.resnet50FPN = lambda **_: resnet.ResnetXtFPN([3, 4, 6, 3], 1, 64, usefpn=True)
    modules = ("core", "affine_align", "skeleton_feat", "build_model")
    return tuple(import_module(f"modeling.{name}") for name in modules)


def _aligner(core: Any) -> Any:
    content = {
        "names": NAMES,
        "vis_threshold": VISIBLE,
        "flip_map": {NAMES[i]: NAMES[other] for i, other in enumerate(MIRRORED) if i < other},
        "templates": clusters().reshape(-1, 51).tolist(),
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(content, file)
        file.flush()
        return core.PoseAlign(file.name, visualize=False, factor=1.0)


def _network(build: Any) -> Any:
    network = build.Pose2Seg()
    own = network.state_dict()
    network.load_state_dict({name: filled(name, tuple(value.shape)) for name, value in own.items()})
    return network.eval()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
