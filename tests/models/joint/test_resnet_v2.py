from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.joint.resnet_v2 import BatchNorm, BatchNormMode, ResNetV2
from tests.oracles.filled import filled

GOLDEN = Path(__file__).parent / "golden" / "personlab_trunk.npz"


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("mode", ["batch", "running"])
def test_the_trunk_says_what_tf_slim_says(mode: BatchNormMode, stride: int) -> None:
    network = ResNetV2((1, 2, 2, 1), 8, stride, mode).eval()
    state = {name: filled(f"trunk.{name}", tuple(tensor.shape)) for name, tensor in network.state_dict().items()}
    network.load_state_dict(state)
    image = np.random.default_rng(0).random((65, 97, 3), np.float32)
    with torch.inference_mode():
        found = network(torch.from_numpy(image).permute(2, 0, 1)[None])[0].numpy()
    expected = np.load(GOLDEN)[f"{mode} {stride}"]
    assert found.shape == expected.shape == (8, 64 // stride + 1, 96 // stride + 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_batch_statistics_are_those_of_each_image_alone() -> None:
    norm = BatchNorm(3, "batch").eval()
    images = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    images[1] *= 50
    alone = [torch.nn.functional.batch_norm(image[None], None, None, training=True, eps=1e-5) for image in images]
    torch.testing.assert_close(norm(images), torch.cat(alone))
