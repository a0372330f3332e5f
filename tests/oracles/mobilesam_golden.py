"""What MobileSAM's own code gives for the inputs made here, kept in `tests/models/segment/golden/mobilesam.npz`.

Usage: python -m tests.oracles.mobilesam_golden FOLDER WEIGHTS

FOLDER is a checkout of the authors' code (ChaoningZhang/MobileSAM, commit 34bbbfd, Apache-2.0), WEIGHTS the published
file. The code knows squares of 1024 pixels alone; here its encoder is built for the size of our picture, and told so
where it says 64 x 64 cells. What it takes from timm and torchvision serves training or other prompts, and is replaced
by stand-ins. It runs twice: with the weights of `tests.oracles.filled`, and with the published ones.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from models.tasks import Float, Image
from tests.oracles.filled import fill

GOLDEN = Path(__file__).parents[1] / "models" / "segment" / "golden" / "mobilesam.npz"

HEIGHT, WIDTH = 192, 320
"""Of the picture; neither is a multiple of a stage's windows."""

EVERY = 16
"""Of the channels of the embedding, those kept."""

BOXES = np.array([[60, 20, 130, 180], [180.5, 90.25, 240, 191]], np.float32)
"""Prompts, pixels of the picture."""

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def picture() -> Image:
    """Two figures on a coloured ground, uint8 [192, 320, 3] BGR."""
    random = np.random.default_rng(7)
    ground = cv2.resize(random.integers(60, 200, (5, 8, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    cv2.ellipse(ground, (95, 110), (28, 66), 5, 0, 360, (40, 30, 160), -1)
    cv2.circle(ground, (98, 38), 17, (150, 180, 230), -1)
    cv2.rectangle(ground, (188, 110), (232, 190), (200, 90, 30), -1)
    cv2.circle(ground, (210, 100), 10, (150, 180, 230), -1)
    return np.asarray(ground, np.uint8)


def images() -> torch.Tensor:
    """The picture as the encoder wants it: [1, 3, 192, 320]."""
    rgb = torch.from_numpy(picture()[..., ::-1].copy()).permute(2, 0, 1).float()
    return ((rgb - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1))[None]


def stand_in(name: str, **contents: Any) -> None:
    """Make a module of this name importable."""
    module = ModuleType(name)
    module.__dict__.update(contents)
    sys.modules[name] = module


def original(folder: Path) -> Any:
    """The authors' network, its encoder built for our picture."""
    layers = {
        "DropPath": type("DropPath", (nn.Identity,), {}),
        "to_2tuple": lambda size: size,
        "trunc_normal_": nn.init.trunc_normal_,
    }
    stand_in("timm")
    stand_in("timm.models")
    stand_in("timm.models.layers", **layers)
    stand_in("timm.models.registry", register_model=lambda function: function)
    stand_in("torchvision")
    stand_in("torchvision.transforms")
    stand_in("torchvision.transforms.functional", resize=None, to_pil_image=None)
    stand_in("torchvision.ops")
    stand_in("torchvision.ops.boxes", batched_nms=None, box_area=None)
    sys.path.insert(0, str(folder))
    build = import_module("mobile_sam.build_sam")
    square = build.TinyViT
    build.TinyViT = lambda img_size, **rest: square(img_size=(HEIGHT, WIDTH), **rest)
    return build.build_sam_vit_t()


def embed(encoder: Any) -> torch.Tensor:
    """The encoder's own forward pass, with the cells of our picture."""
    x = encoder.patch_embed(images())
    for layer in encoder.layers:
        x = layer(x)
    return encoder.neck(x.view(1, HEIGHT // 16, WIDTH // 16, -1).permute(0, 3, 1, 2))


@torch.inference_mode()
def outputs(network: Any) -> dict[str, Float]:
    """What is kept of one run."""
    embedding = embed(network.image_encoder)
    height, width = embedding.shape[2:]
    prompts, no_mask = network.prompt_encoder(points=None, boxes=torch.from_numpy(BOXES), masks=None)
    logits, overlap = network.mask_decoder(
        image_embeddings=embedding,
        image_pe=network.prompt_encoder.get_dense_pe()[:, :, :height, :width],
        sparse_prompt_embeddings=prompts,
        dense_prompt_embeddings=no_mask[:, :, :height, :width],
        multimask_output=False,
    )
    kept = {"embedding": embedding[0, ::EVERY], "prompts": prompts[:, :, ::EVERY], "logits": logits, "overlap": overlap}
    return {name: tensor.numpy() for name, tensor in kept.items()}


def main(folder: Path, weights: Path) -> None:
    """Write the golden file."""
    network = original(folder)
    arrays = {f"filled_{name}": array for name, array in outputs(fill(network)).items()}
    network.load_state_dict(torch.load(weights, weights_only=True))
    arrays |= {f"published_{name}": array for name, array in outputs(network.eval()).items()}
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
