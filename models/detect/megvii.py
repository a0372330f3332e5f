"""The names that YOLOX's authors (Megvii) gave its tensors, translated into OpenMMLab's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_RENAMED = (
    (r"^backbone\.backbone\.stem\.", "backbone.stem."),
    (r"^backbone\.backbone\.dark2\.", "backbone.stage1."),
    (r"^backbone\.backbone\.dark3\.", "backbone.stage2."),
    (r"^backbone\.backbone\.dark4\.", "backbone.stage3."),
    (r"^backbone\.backbone\.dark5\.", "backbone.stage4."),
    (r"^backbone\.lateral_conv0\.", "neck.reduce_layers.0."),
    (r"^backbone\.reduce_conv1\.", "neck.reduce_layers.1."),
    (r"^backbone\.C3_p4\.", "neck.top_down_blocks.0."),
    (r"^backbone\.C3_p3\.", "neck.top_down_blocks.1."),
    (r"^backbone\.bu_conv2\.", "neck.downsamples.0."),
    (r"^backbone\.bu_conv1\.", "neck.downsamples.1."),
    (r"^backbone\.C3_n3\.", "neck.bottom_up_blocks.0."),
    (r"^backbone\.C3_n4\.", "neck.bottom_up_blocks.1."),
    (r"^head\.stems\.", "neck.out_convs."),
    (r"^head\.(cls|reg)_convs\.", r"bbox_head.multi_level_\1_convs."),
    (r"^head\.(cls|reg|obj)_preds\.", r"bbox_head.multi_level_conv_\1."),
    # Inside a CSP layer; the pyramid pooling (stage4.1) keeps its conv1 and conv2, and so do the blocks.
    (r"((?:stage[123]\.1|stage4\.2|_blocks\.\d)\.)conv1\.", r"\1main_conv."),
    (r"((?:stage[123]\.1|stage4\.2|_blocks\.\d)\.)conv2\.", r"\1short_conv."),
    (r"((?:stage[123]\.1|stage4\.2|_blocks\.\d)\.)conv3\.", r"\1final_conv."),
    (r"((?:stage[123]\.1|stage4\.2|_blocks\.\d)\.)m\.", r"\1blocks."),
    (r"\.dconv\.", ".depthwise_conv."),
    (r"\.pconv\.", ".pointwise_conv."),
)
"""Pattern -> replacement, all applied in this order."""


def is_megvii(state: Mapping[str, Tensor]) -> bool:
    """Whether these tensors bear Megvii's names."""
    return any(name.startswith("backbone.backbone.") for name in state)


def from_megvii(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under OpenMMLab's names."""
    return {_translate(name): tensor for name, tensor in state.items()}


def _translate(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name
