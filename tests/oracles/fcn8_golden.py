"""What other people's FCN-8 and VGG16 give for the inputs made here, kept in `tests/models/segment/golden/fcn8.npz`.

Usage: python -m tests.oracles.fcn8_golden FOLDER

FOLDER is a checkout of wkentaro/pytorch-fcn (commit 4b98850, MIT), whose FCN8s is Berkeley's network; VGG16 is that of
torchvision. Both are built with the widths below instead of their own, so that the tests are quick: the order of the
layers, their sizes, paddings and crops are the originals'. Weights are those of `tests.oracles.filled`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import nn

from tests.oracles.filled import fill

GOLDEN = Path(__file__).parents[1] / "models" / "segment" / "golden" / "fcn8.npz"
CHANNELS, HIDDEN, CLASSES = (4, 8, 12, 16, 16), 32, 5


def picture(height: int, width: int) -> torch.Tensor:
    """An input of the networks, float32 [1, 3, height, width]."""
    return torch.from_numpy(np.random.default_rng(height).standard_normal((1, 3, height, width), np.float32))


def main(folder: Path) -> None:
    """Run the originals and write the file."""
    with torch.inference_mode():
        berkeley = fill(_berkeley(folder))(picture(70, 93))
        vgg16 = fill(_vgg16())
        pooled = vgg16.features(picture(224, 224))
        np.savez_compressed(
            GOLDEN,
            berkeley=berkeley.numpy()[..., ::2, ::2],
            pool5=pooled.numpy(),
            fc7=vgg16.classifier(pooled.flatten(1)).numpy(),
        )


def _berkeley(folder: Path) -> nn.Module:
    sys.path.insert(0, str(folder))
    sys.modules["fcn"] = ModuleType("fcn")  # it only downloads
    sys.modules["torchfcn"] = package = ModuleType("torchfcn")
    package.__path__ = [str(folder / "torchfcn")]
    sys.modules["torchfcn.models"] = package = ModuleType("torchfcn.models")
    package.__path__ = [str(folder / "torchfcn" / "models")]
    network: nn.Module = import_module("torchfcn.models.fcn8s").FCN8s(CLASSES)
    widths = dict(zip((64, 128, 256, 512, 4096), (*CHANNELS[:4], HIDDEN), strict=True))
    for name, layer in list(network.named_children()):
        if isinstance(layer, nn.Conv2d):
            channels = (widths.get(count, count) for count in (layer.in_channels, layer.out_channels))
            setattr(network, name, nn.Conv2d(*channels, layer.kernel_size, layer.stride, layer.padding))
    return network


def _vgg16() -> nn.Module:
    from torchvision.models.vgg import VGG, cfgs, make_layers

    widths = dict(zip((64, 128, 256, 512), CHANNELS, strict=False))
    network = VGG(make_layers([widths.get(step, step) for step in cfgs["D"]]), init_weights=False)
    network.classifier = nn.Sequential(
        nn.Linear(CHANNELS[-1] * 49, HIDDEN), nn.ReLU(), nn.Dropout(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()
    )
    return network


if __name__ == "__main__":
    main(Path(sys.argv[1]))
