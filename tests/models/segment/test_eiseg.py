"""EISeg's network: its size, its parameters from PaddlePaddle's file, and what PaddleSeg's program says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.errors import CheckpointError
from models.layers import fuse
from models.segment.eiseg import EISeg, load_pdiparams, paddle_names
from models.segment.eiseg_task import load_eiseg
from tests.models.compiling import weights_of
from tests.oracles.filled import fill
from tests.oracles.paddle_eiseg import clicks, pdiparams, picture
from tests.oracles.pretrained import pretrained

GOLDEN = Path(__file__).parent / "golden" / "eiseg.npz"


def saved(network: EISeg) -> bytes:
    """What PaddlePaddle would write: tensors in the sorted order of their names."""
    return pdiparams(tensor.detach().numpy() for _, tensor in sorted(paddle_names(network), key=lambda pair: pair[0]))


def run(network: EISeg, picture_: np.ndarray, clicks_: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return network(torch.from_numpy(picture_), torch.from_numpy(clicks_)).numpy()


def test_the_network_has_another_size_than_the_published_one() -> None:
    with torch.device("meta"):
        network = EISeg()
    names = dict(paddle_names(network))
    assert sum(tensor.numel() for tensor in network.parameters()) == 10032019
    assert (len(names), len([name for name in names if name.endswith(".w_2")])) == (1581, 314)
    shapes = {
        "conv2d_0.w_0": (16, 3, 1, 1), "conv2d_1.b_0": (64,), "conv2d_2.w_0": (64, 3, 3, 3),
        "conv2d_4.w_0": (256, 64, 1, 1), "conv2d_5.w_0": (64, 64, 1, 1), "conv2d_17.w_0": (18, 256, 3, 3),
        "conv2d_35.w_0": (18, 36, 1, 1), "conv2d_36.w_0": (36, 18, 3, 3), "conv2d_37.w_0": (72, 36, 3, 3),
        "conv2d_67.w_0": (72, 18, 3, 3), "conv2d_303.w_0": (144, 18, 3, 3), "conv2d_306.w_0": (144, 72, 3, 3),
        "conv2d_307.b_0": (128,), "conv2d_313.w_0": (128, 64, 1, 1), "conv2d_315.w_0": (1, 128, 1, 1),
        "conv2d_316.w_0": (270, 270, 1, 1), "conv2d_317.b_0": (1,), "batch_norm2d_313.w_1": (270,),
        "scale_layer_0.w_0": (1,),
    }  # fmt: skip
    assert {name: tuple(names[name].shape) for name in shapes} == shapes


def test_a_file_gives_another_network_than_it_came_from(tmp_path: Path) -> None:
    trained = fill(EISeg())
    (tmp_path / "own.pdiparams").write_bytes(saved(trained))
    loaded = load_eiseg(weights_of("eiseg-hrnet18", tmp_path / "own.pdiparams"))
    expected = trained.state_dict()
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_the_file_of_another_network_is_loaded_by_halves(tmp_path: Path) -> None:
    network = EISeg()
    path = tmp_path / "other.pdiparams"
    path.write_bytes(pdiparams([np.zeros((64, 3), np.float32)]))
    with pytest.raises(CheckpointError, match=r"does not hold EISeg's HRNet18-OCR64: 1 tensors"):
        load_pdiparams(network, path)
    path.write_bytes(saved(network)[:-100])
    with pytest.raises(CheckpointError, match="delete it and fetch it again"):
        load_pdiparams(network, path)


def test_folding_batch_norm_changes_the_output() -> None:
    network = fill(EISeg())
    before = run(network, picture(), clicks())
    assert before.shape == (1, 1, 192, 256)
    np.testing.assert_allclose(
        run(fuse(network), picture(), clicks()), before, rtol=0, atol=1e-5 * np.abs(before).max()
    )


def test_an_image_gets_another_output_in_a_batch() -> None:
    network = fill(EISeg())
    pictures, disks = np.concatenate([picture(), -picture()]), np.concatenate([clicks(), clicks()[:, ::-1]])
    together = run(network, pictures, disks)
    for row in (0, 1):
        alone = run(network, pictures[[row]], disks[[row]])
        np.testing.assert_allclose(alone[0], together[row], rtol=0, atol=1e-5 * np.abs(alone).max())


@pytest.mark.weights
def test_the_logits_are_not_those_of_paddlesegs_program() -> None:
    network = load_eiseg(weights_of("eiseg-hrnet18", pretrained("eiseg-hrnet18")))
    logits = run(network, picture(), clicks())[0, 0, ::6, ::6]
    np.testing.assert_allclose(logits, np.load(GOLDEN)["logits"], rtol=0, atol=1e-4)
