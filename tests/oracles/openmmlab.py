"""OpenMMLab's own YOLOX, RTMDet, RTMDet-Ins and RTMO, on weights that a rule makes: they wrote the golden arrays.

Run `python -m tests.oracles.openmmlab DETECT_FOLDER JOINT_FOLDER` where mmdet 3.3.0, mmpose 1.3.2, mmcv-lite 2.2.0,
mmengine 0.10.7 and pycocotools are installed. mmcv-lite has no compiled operators; the one that is used here, the
suppression of overlapping boxes, is replaced by a few lines below.

Every network is given weights by a rule, see `weight`, and two images of noise, 96 x 128 and 192 x 256; the second is
shrunk to the size of the first.
"""

from __future__ import annotations

import hashlib
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from tests.oracles.filled import filled

SIZE = (96, 128)
"""Height and width of the networks' input."""

SHAPES = (SIZE, (192, 256))
"""Of the two images."""

GAINS: Mapping[str, float] = {"rtm_cls.": 6.0, "rtm_reg.": 2.0, "rtm_kernel.": 3.0, "projection.": 10.0, "ln.": 10.0}
"""Part of a name -> what its weights are multiplied by."""

BIASES: Mapping[str, float] = {"rtm_cls.": -1.0, "rtm_reg.": 2.0, "out_cls.": -1.0, "out_bbox.": 0.5}
"""Part of a name -> what is added to its biases, so that some twenty persons are found."""

CONSTANTS = (".dim_t", "x_bins", "y_bins", ".sigmas")
"""Ends of the names of tensors that are not weights."""

SHOWN = slice(0, 252, 31)
"""The anchors whose kernels and vectors are kept."""

SCORE, IOU = 0.3, 0.5
"""Of the persons."""


def weight(name: str, tensor: Tensor, gain: float) -> Tensor:
    """What the tensor of this published name is filled with.

    Kernels are multiplied by `gain`, the one with which the activations of that network neither vanish nor explode.
    """
    values = filled(name, tuple(tensor.shape))
    if name.endswith(".bias"):
        return values + sum(by for part, by in BIASES.items() if part in name)
    if name == "backbone.stem.conv.conv.weight":
        return values / 64  # for pixels that are not normalised
    if name.endswith(".conv.weight"):
        return values * gain
    return values * next((by for part, by in GAINS.items() if part in name), 1)


def images() -> list[np.ndarray[Any, Any]]:
    """The two images."""
    random = np.random.default_rng(5)
    coarse = [random.integers(0, 256, (12, 16, 3), np.uint8) for _ in SHAPES]
    return [
        cv2.resize(of, shape[::-1], interpolation=cv2.INTER_CUBIC) for of, shape in zip(coarse, SHAPES, strict=True)
    ]


def digest(state: Mapping[str, Tensor]) -> str:
    """Of all names and shapes."""
    lines = sorted(f"{name} {list(tensor.shape)}" for name, tensor in state.items() if not name.endswith(CONSTANTS))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _import_original() -> None:
    """Make mmdet and mmpose importable with mmcv-lite."""
    import mmcv
    import pycocotools.coco
    import pycocotools.cocoeval  # noqa: F401

    class Missing(types.ModuleType):
        def __getattr__(self, name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (nn.Module,), {})

    mmcv.__version__ = "2.1.0"
    parts = (
        "carafe",
        "deform_conv",
        "merge_cells",
        "modulated_deform_conv",
        "multi_scale_deform_attn",
        "nms",
        "roi_align",
    )
    for part in ("", *(f".{name}" for name in parts)):
        sys.modules[f"mmcv.ops{part}"] = Missing(f"mmcv.ops{part}")
    for part in ("", ".coco", ".cocoeval", ".mask"):
        sys.modules[f"xtcocotools{part}"] = sys.modules[f"pycocotools{part}"]
    import mmdet.models  # noqa: F401
    import mmpose.models  # noqa: F401


def _suppressed(boxes: Tensor, scores: Tensor, labels: Tensor, _config: Any) -> tuple[Tensor, Tensor]:
    """In place of mmcv's batched_nms: of the persons alone."""
    from mmdet.structures.bbox import bbox_overlaps

    left, kept = [int(i) for i in scores.argsort(descending=True) if labels[i] == 0], []
    while left:
        best, *left = left
        kept.append(best)
        overlaps = bbox_overlaps(boxes[best : best + 1], boxes[left])[0] if left else []
        left = [i for i, overlap in zip(left, overlaps, strict=True) if overlap <= IOU]
    return torch.cat([boxes[kept], scores[kept, None]], dim=1), torch.tensor(kept, dtype=torch.long)


def _filled(parts: Mapping[str, nn.Module], gain: float) -> dict[str, Tensor]:
    """Fill the parts of a network in place, and return its state."""
    network = nn.ModuleDict(parts).eval()
    state = network.state_dict()
    network.load_state_dict(
        {name: tensor if name.endswith(CONSTANTS) else weight(name, tensor, gain) for name, tensor in state.items()}
    )
    return network.state_dict()


def _pixels(mean: Any, std: Any) -> Tensor:
    """The batch that both networks see, normalised."""
    batch = np.stack([cv2.resize(image, SIZE[::-1], interpolation=cv2.INTER_LINEAR) for image in images()])
    return torch.from_numpy(((batch - np.float32(mean)) / np.float32(std)).transpose(0, 3, 1, 2)).float()


def _flat(levels: list[Tensor]) -> np.ndarray[Any, Any]:
    return torch.cat([level.flatten(2) for level in levels], dim=2).transpose(1, 2).numpy()


@torch.no_grad()
def rtmdet(config_file: str, classes: int, gain: float) -> dict[str, Any]:
    """Raw and final results of an RTMDet or RTMDet-Ins of mmdet."""
    from mmdet.models.dense_heads import base_dense_head, rtmdet_ins_head
    from mmdet.registry import MODELS
    from mmengine.config import Config

    base_dense_head.batched_nms = rtmdet_ins_head.batched_nms = _suppressed
    config = Config.fromfile(config_file).model
    config.backbone.pop("init_cfg", None)
    config.test_cfg.update(score_thr=SCORE, nms_pre=1_000_000, max_per_img=1_000_000)
    config.bbox_head.update(num_classes=classes, test_cfg=config.test_cfg)
    parts = {name: MODELS.build(config[name]) for name in ("backbone", "neck", "bbox_head")}
    made = {"names": np.array(digest(_filled(parts, gain))), "gain": np.array(gain)}
    head = parts["bbox_head"]
    features = parts["neck"](parts["backbone"](_pixels(config.data_preprocessor.mean, config.data_preprocessor.std)))
    outputs = head(features)
    made["raw"] = np.concatenate([_flat(outputs[1]), _flat(outputs[0])[..., :1]], axis=2)
    metas = [
        {"img_shape": SIZE, "ori_shape": shape, "scale_factor": (SIZE[1] / shape[1], SIZE[0] / shape[0])}
        for shape in SHAPES
    ]
    if len(outputs) > 2:
        made |= {"kernels": _flat(outputs[2])[:, SHOWN], "prototypes": outputs[3].numpy()}
    for number, found in enumerate(head.predict_by_feat(*outputs, batch_img_metas=metas, rescale=True)):
        made |= {f"boxes{number}": found.bboxes.numpy(), f"scores{number}": found.scores.numpy()}
        if len(outputs) > 2:
            made[f"masks{number}"] = np.packbits(found.masks.numpy(), axis=-1)
    return made


@torch.no_grad()
def yolox(config_file: str, gain: float) -> dict[str, Any]:
    """Raw results of a YOLOX of mmdet."""
    from mmdet.registry import MODELS
    from mmengine.config import Config

    config = Config.fromfile(config_file).model
    parts = {name: MODELS.build(config[name]) for name in ("backbone", "neck", "bbox_head")}
    made = {"names": np.array(digest(_filled(parts, gain))), "gain": np.array(gain)}
    scores, boxes, objectness = parts["bbox_head"](parts["neck"](parts["backbone"](_pixels(0.0, 1.0))))
    made["raw"] = np.concatenate([_flat(boxes), _flat(objectness), _flat(scores)[..., :1]], axis=2)
    return made


@torch.no_grad()
def rtmo(config_file: str, gain: float) -> dict[str, Any]:
    """Raw and final results of an RTMO of mmpose."""
    from mmengine.config import Config
    from mmpose.registry import MODELS
    from mmpose.structures import PoseDataSample

    config = Config.fromfile(config_file).model
    config.backbone.pop("init_cfg", None)
    parts = {name: MODELS.build(config[name]) for name in ("backbone", "neck", "head")}
    made = {"names": np.array(digest(_filled(parts, gain))), "gain": np.array(gain)}
    head = parts["head"]
    features = parts["neck"](parts["backbone"](_pixels(0.0, 1.0)))
    scores, boxes, _, visible, poses = head(features)
    made["raw"] = np.concatenate([_flat(boxes), _flat(scores), _flat(visible)], axis=2)
    made["poses"] = _flat(poses)[:, SHOWN]
    samples = [PoseDataSample(metainfo={"input_size": SIZE[::-1]}) for _ in SHAPES]
    for number, found in enumerate(head.predict(features, samples, {"score_thr": SCORE, "nms_thr": IOU})):
        keypoints = np.concatenate([found.keypoints, found.keypoint_scores[..., None]], axis=2)
        made |= {f"boxes{number}": found.bboxes, f"scores{number}": found.scores, f"keypoints{number}": keypoints}
    return made


def main(detect: Path, joint: Path) -> None:
    """Write the golden arrays of all networks."""
    _import_original()
    import mmdet
    import mmpose

    of_mmdet, of_mmpose = (Path(package.__file__).parent / ".mim" for package in (mmdet, mmpose))
    nano = of_mmpose / "demo/mmdetection_cfg/rtmdet_nano_320-8xb32_coco-person.py"
    tiny, middle, ins = (
        of_mmdet / f"configs/rtmdet/rtmdet{name}_8xb32-300e_coco.py" for name in ("_tiny", "_m", "-ins_tiny")
    )
    of_rtmo = of_mmpose / "configs/body_2d_keypoint/rtmo"
    small, large = (
        of_rtmo / "body7/rtmo-t_8xb32-600e_body7-416x416.py",
        of_rtmo / "coco/rtmo-m_16xb16-600e_coco-640x640.py",
    )
    of_yolox = of_mmdet / "configs/yolox/yolox_tiny_8xb8-300e_coco.py"
    np.savez_compressed(detect / "yolox_tiny.npz", **yolox(str(of_yolox), 1.12))
    np.savez_compressed(detect / "rtmdet_nano.npz", **rtmdet(str(nano), 1, 1.55))
    np.savez_compressed(detect / "rtmdet_tiny.npz", **rtmdet(str(tiny), 80, 1.42))
    np.savez_compressed(detect / "rtmdet_m.npz", **rtmdet(str(middle), 80, 1.32))
    np.savez_compressed(joint / "rtmdet_ins_tiny.npz", **rtmdet(str(ins), 80, 1.42))
    np.savez_compressed(joint / "rtmo_t.npz", **rtmo(str(small), 1.12))
    np.savez_compressed(joint / "rtmo_m.npz", **rtmo(str(large), 1.085))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
