"""How tests/models/pose/golden/heatmaps.npz was made: the authors' own code, run on weights that a rule makes.

Every network is filled by `tests.oracles.filled` under the names of its authors and looks once at `example`. Nothing of
`models` is used. The originals are checked out by whoever runs this (`pip install torchvision mmengine mmcv-lite` and
what else they import):

    git clone https://github.com/microsoft/human-pose-estimation.pytorch microsoft      # 49f3f44, MIT
    git clone https://github.com/open-mmlab/mmpose openmmlab                            # 759b39c, Apache-2.0
    git clone https://github.com/princeton-vl/pytorch_stacked_hourglass princeton       # ceedc14, BSD-3
    git clone https://github.com/anibali/pytorch-stacked-hourglass bearpaw              # GPL-3
    python -m tests.oracles.heatmap_networks FOLDER_OF_THE_FOUR tests/models/pose/golden/heatmaps.npz
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tests.oracles.filled import fill

Array = npt.NDArray[np.float32]


def example(height: int, width: int) -> Tensor:
    """The image that the networks look at, [1, 3, height, width], already normalised."""
    return torch.from_numpy(np.random.default_rng(0).standard_normal((1, 3, height, width), np.float32))


def smooth_maps() -> Array:
    """Heat maps [40, 17, 24, 18] with one bump each, some of them cut by the border, and two that are empty."""
    random = np.random.default_rng(1)
    x, y = random.uniform(-1, 18, (40, 17, 1, 1)), random.uniform(-1, 24, (40, 17, 1, 1))
    rows, columns = np.mgrid[:24, :18]
    maps = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8) * random.uniform(0.1, 1, (40, 17, 1, 1))
    maps[0, :2] = 0
    return maps.astype(np.float32)


def people() -> Array:
    """Boxes [40, 4] of the people of `smooth_maps`, x1, y1, x2, y2: tall ones, wide ones, some beyond the image."""
    random = np.random.default_rng(2)
    corners, sides = random.uniform(-40, 600, (40, 2)), random.uniform(8, 300, (40, 2))
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32)


def main(originals: Path, golden: Path) -> None:
    """Write `golden`."""
    torch.set_num_threads(1)
    arrays = microsoft(originals / "microsoft")
    arrays["openmmlab"] = openmmlab(originals / "openmmlab")
    arrays["princeton"] = princeton(originals / "princeton")
    arrays["bearpaw"] = bearpaw(originals / "bearpaw")
    np.savez_compressed(golden, **arrays)


def microsoft(folder: Path) -> dict[str, Array]:
    """SimpleBaseline-50, its trunk once more with torchvision's ResNet, and how heat maps are decoded."""
    import torchvision

    sys.path.insert(0, str(folder / "lib"))
    _package("models", folder / "lib")
    from core.inference import get_final_preds
    from models.pose_resnet import get_pose_net

    extra = {"NUM_LAYERS": 50, "DECONV_WITH_BIAS": False, "NUM_DECONV_LAYERS": 3, "FINAL_CONV_KERNEL": 1}
    extra |= {"NUM_DECONV_FILTERS": [256] * 3, "NUM_DECONV_KERNELS": [4] * 3}
    config = SimpleNamespace(MODEL=SimpleNamespace(EXTRA=_Config(extra), NUM_JOINTS=17, STYLE="pytorch"))
    network = fill(get_pose_net(config, is_train=False))
    trunk = fill(torchvision.models.resnet50())
    trunk.avgpool = trunk.fc = nn.Identity()
    maps, boxes = smooth_maps(), people()
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    width, height = np.maximum(width, height * 0.75), np.maximum(height, width / 0.75)
    scales, centres = 1.25 * np.stack([width, height], axis=1) / 200, (boxes[:, :2] + boxes[:, 2:]) / 2
    places, scores = get_final_preds(SimpleNamespace(TEST=SimpleNamespace(POST_PROCESS=True)), maps, centres, scales)
    return {
        "microsoft": _heatmaps(network(example(64, 96))),
        "torchvision": trunk(example(64, 96)).detach().numpy().reshape(1, 2048, 2, 3)[:, ::8],
        "places": places.astype(np.float32),
        "scores": scores[..., 0].astype(np.float32),
    }


def openmmlab(folder: Path) -> Array:
    """HourglassNet with one stack, and the 1x1 convolution that is all of its head; every other row and column."""
    for name in ("mmpose", "mmpose.models", "mmpose.models.backbones"):
        _package(name, folder)  # their own __init__ imports far too much
    from mmpose.models.backbones.hourglass import HourglassNet

    network = nn.ModuleDict({"backbone": HourglassNet(num_stacks=1), "head": nn.ModuleDict()})
    network["head"]["multi_final_layers"] = nn.ModuleList([nn.Conv2d(256, 17, 1)])  # type: ignore[operator]
    fill(network)
    heatmaps = network["head"]["multi_final_layers"][0](network["backbone"](example(128, 128))[0])  # type: ignore
    return _heatmaps(heatmaps)[..., ::2, ::2]


def princeton(folder: Path) -> Array:
    """Two stacks; the last one's answer."""
    _package("models", folder)  # without an __init__, Python would prefer ours
    sys.modules["task.loss"] = ModuleType("task.loss")
    sys.modules["task.loss"].HeatmapLoss = nn.Identity  # type: ignore[attr-defined]
    from models.posenet import PoseNet

    return _heatmaps(fill(PoseNet(2, 256, 16))(example(128, 64).permute(0, 2, 3, 1))[:, -1])


def bearpaw(folder: Path) -> Array:
    """Two stacks; the last one's answer."""
    sys.path.insert(0, str(folder / "src"))
    import stacked_hourglass

    return _heatmaps(fill(stacked_hourglass.hg2(pretrained=False))(example(128, 64))[-1])


class _Config(dict[str, Any]):
    """A dictionary whose items are attributes too."""

    __getattr__ = dict.__getitem__


def _heatmaps(output: Tensor) -> Array:
    return output.detach().numpy()


def _package(name: str, folder: Path) -> None:
    """Import modules of the package `name` in `folder` without running its `__init__`."""
    sys.modules[name] = ModuleType(name)
    sys.modules[name].__path__ = [str(folder / name.replace(".", "/"))]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
