"""MobileSAM is the published network: its names, its shapes and its numbers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.backends.pixels import FromPixels
from models.errors import CheckpointError
from models.segment.mobilesam import MobileSAM, load_mobilesam
from models.tasks import Float
from tests.models.compiling import weights_of
from tests.oracles.filled import fill
from tests.oracles.mobilesam_golden import BOXES, EVERY, GOLDEN, images, picture
from tests.oracles.pretrained import pretrained

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def with_bias(name: str, *weight: int, bias: int | None = None) -> Shapes:
    yield f"{name}.weight", weight
    yield f"{name}.bias", (weight[0] if bias is None else bias,)


def conv_norm(name: str, *weight: int) -> Shapes:
    yield f"{name}.c.weight", weight
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.bn.{part}", (weight[0],)


def encoder() -> Shapes:
    yield from conv_norm("patch_embed.seq.0", 32, 3, 3, 3)
    yield from conv_norm("patch_embed.seq.2", 64, 32, 3, 3)
    for i in range(2):
        yield from conv_norm(f"layers.0.blocks.{i}.conv1", 256, 64, 1, 1)
        yield from conv_norm(f"layers.0.blocks.{i}.conv2", 256, 1, 3, 3)
        yield from conv_norm(f"layers.0.blocks.{i}.conv3", 64, 256, 1, 1)
    for stage, (before, after) in enumerate([(64, 128), (128, 160), (160, 320)]):
        yield from conv_norm(f"layers.{stage}.downsample.conv1", after, before, 1, 1)
        yield from conv_norm(f"layers.{stage}.downsample.conv2", after, 1, 3, 3)
        yield from conv_norm(f"layers.{stage}.downsample.conv3", after, after, 1, 1)
    for stage, (width, depth, heads, window) in enumerate([(128, 2, 4, 7), (160, 6, 5, 14), (320, 2, 10, 7)], start=1):
        for block in (f"layers.{stage}.blocks.{i}" for i in range(depth)):
            yield f"{block}.attn.attention_biases", (heads, window * window)
            yield from with_bias(f"{block}.attn.norm", width)
            yield from with_bias(f"{block}.attn.qkv", 3 * width, width)
            yield from with_bias(f"{block}.attn.proj", width, width)
            yield from with_bias(f"{block}.mlp.norm", width)
            yield from with_bias(f"{block}.mlp.fc1", 4 * width, width)
            yield from with_bias(f"{block}.mlp.fc2", width, 4 * width)
            yield from conv_norm(f"{block}.local_conv", width, 1, 3, 3)
    yield from with_bias("norm_head", 320)
    yield from with_bias("head", 1000, 320)
    yield "neck.0.weight", (256, 320, 1, 1)
    yield from with_bias("neck.1", 256)
    yield "neck.2.weight", (256, 256, 3, 3)
    yield from with_bias("neck.3", 256)


def prompt_encoder() -> Shapes:
    yield "pe_layer.positional_encoding_gaussian_matrix", (2, 128)
    names = (*(f"point_embeddings.{i}" for i in range(4)), "not_a_point_embed", "no_mask_embed")
    yield from ((f"{name}.weight", (1, 256)) for name in names)
    yield from with_bias("mask_downscaling.0", 4, 1, 2, 2)
    yield from with_bias("mask_downscaling.1", 4)
    yield from with_bias("mask_downscaling.3", 16, 4, 2, 2)
    yield from with_bias("mask_downscaling.4", 16)
    yield from with_bias("mask_downscaling.6", 256, 16, 1, 1)


def attention(name: str, hidden: int) -> Shapes:
    for projection in ("q_proj", "k_proj", "v_proj"):
        yield from with_bias(f"{name}.{projection}", hidden, 256)
    yield from with_bias(f"{name}.out_proj", 256, hidden)


def mask_decoder() -> Shapes:
    for layer in ("transformer.layers.0", "transformer.layers.1"):
        yield from attention(f"{layer}.self_attn", 256)
        yield from attention(f"{layer}.cross_attn_token_to_image", 128)
        yield from attention(f"{layer}.cross_attn_image_to_token", 128)
        yield from with_bias(f"{layer}.mlp.lin1", 2048, 256)
        yield from with_bias(f"{layer}.mlp.lin2", 256, 2048)
        for i in range(1, 5):
            yield from with_bias(f"{layer}.norm{i}", 256)
    yield from attention("transformer.final_attn_token_to_image", 128)
    yield from with_bias("transformer.norm_final_attn", 256)
    yield "iou_token.weight", (1, 256)
    yield "mask_tokens.weight", (4, 256)
    yield from with_bias("output_upscaling.0", 256, 64, 2, 2, bias=64)
    yield from with_bias("output_upscaling.1", 64)
    yield from with_bias("output_upscaling.3", 64, 32, 2, 2, bias=32)
    heads = [*((f"output_hypernetworks_mlps.{i}", 32) for i in range(4)), ("iou_prediction_head", 4)]
    for name, outputs in heads:
        for i, width in enumerate((256, 256, outputs)):
            yield from with_bias(f"{name}.layers.{i}", width, 256)


def published_shapes() -> dict[str, tuple[int, ...]]:
    parts = {"image_encoder": encoder(), "prompt_encoder": prompt_encoder(), "mask_decoder": mask_decoder()}
    return {f"{part}.{name}": shape for part, shapes in parts.items() for name, shape in shapes}


def outputs(network: MobileSAM) -> dict[str, Tensor]:
    """What the golden file has of a run."""
    with torch.inference_mode():
        embedding = network.image_encoder(images())
        height, width = embedding.shape[2:]
        prompts = network.prompt_encoder(torch.from_numpy(BOXES))
        place = network.prompt_encoder.places()[:, :height, :width]
        logits, overlap = network(embedding.expand(2, -1, -1, -1), place.expand(2, -1, -1, -1), prompts)
    return {"embedding": embedding[0, ::EVERY], "prompts": prompts[..., ::EVERY], "logits": logits, "overlap": overlap}


def saved(state: dict[str, Tensor], folder: Path) -> Path:
    path = folder / "mobile_sam.pt"
    torch.save(state, path)
    return path


def assert_golden(network: MobileSAM, weights: str) -> None:
    with np.load(GOLDEN) as golden:
        expected: dict[str, Float] = {name: golden[f"{weights}_{name}"] for name in outputs(network)}
    for name, output in outputs(network).items():
        np.testing.assert_allclose(output.numpy(), expected[name], rtol=1e-5, atol=1e-4, err_msg=name)


@pytest.fixture(scope="module")
def trained() -> MobileSAM:
    return fill(MobileSAM())


def test_the_tensors_have_other_names_or_shapes_than_the_published_ones(trained: MobileSAM) -> None:
    state = trained.state_dict()
    own = {name: tuple(tensor.shape) for name, tensor in state.items() if not name.endswith(".num_batches_tracked")}
    assert own == published_shapes()
    assert len(own) == 412
    assert sum(parameter.numel() for parameter in trained.parameters()) == 10_130_092


def test_the_outputs_differ_from_those_of_the_authors_code(trained: MobileSAM) -> None:
    assert_golden(trained, "filled")
    assert_golden(copy.deepcopy(trained).fuse(), "filled")


@pytest.mark.weights
def test_the_published_weights_give_other_outputs_than_in_the_authors_code() -> None:
    network = load_mobilesam(weights_of("mobilesam", pretrained("mobilesam"))).fuse()
    assert_golden(network, "published")
    # From camera pixels, in another order and not yet normalised.
    with torch.inference_mode(), np.load(GOLDEN) as golden:
        (embedding,) = FromPixels(network.image_encoder, network.pixels)(torch.from_numpy(picture()[None]))
        np.testing.assert_allclose(embedding[0, ::EVERY].numpy(), golden["published_embedding"], atol=1e-4)


def test_a_published_checkpoint_gives_another_network(trained: MobileSAM, tmp_path: Path) -> None:
    loaded = load_mobilesam(weights_of("mobilesam", saved(trained.state_dict(), tmp_path)))
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, trained.state_dict()[name]), name


def test_a_truncated_checkpoint_is_loaded_halfway(trained: MobileSAM, tmp_path: Path) -> None:
    path = saved(trained.state_dict(), tmp_path)
    path.write_bytes(path.read_bytes()[:-100_000])
    with pytest.raises(CheckpointError, match="not a whole PyTorch checkpoint"):
        load_mobilesam(weights_of("mobilesam", path))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 8)}, "unexpected"),  # Segment Anything's own encoder
        ({"mask_decoder.mask_tokens.weight": torch.zeros(3, 256)}, "another shape"),
        ({"mask_decoder.iou_token.weight": None}, "missing"),
    ],
)
def test_the_checkpoint_of_another_network_is_loaded(
    change: dict[str, Tensor | None], fault: str, trained: MobileSAM, tmp_path: Path
) -> None:
    state = trained.state_dict() | change
    path = saved({name: tensor for name, tensor in state.items() if tensor is not None}, tmp_path)
    with pytest.raises(CheckpointError, match=f"do not fit MobileSAM.*{fault}"):
        load_mobilesam(weights_of("mobilesam", path))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 256), (320, 64)])
def test_a_picture_that_is_not_square_is_refused(height: int, width: int, trained: MobileSAM) -> None:
    with torch.inference_mode():
        embedding = trained.image_encoder(torch.zeros(2, 3, height, width))
        place = trained.prompt_encoder.places()[:, : height // 16, : width // 16].expand(2, -1, -1, -1)
        logits, overlap = trained(embedding, place, trained.prompt_encoder(torch.zeros(2, 4)))
    assert embedding.shape == (2, 256, height // 16, width // 16)
    assert logits.shape == (2, 1, height // 4, width // 4)
    assert overlap.shape == (2, 1)
