"""The names that authors gave to the tensors of heat-map networks, translated into ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

State = Mapping[str, Tensor]


def simplebaseline_names(state: State) -> dict[str, Tensor]:
    """A SimpleBaseline of Microsoft, of OpenMMLab, or of its 3D variant (heads `hm` and `depth`) under our names."""
    return _renamed(state, (r"^(backbone|head)\.", ""), (r"^hm\.", "final_layer."), (r"^depth\.", "depth_layer."))


def hourglass52_names(state: State) -> dict[str, Tensor]:
    """OpenMMLab's hourglass52 under our names, without the layers that would lead to a second stack."""
    names = _renamed(state, (r"^(backbone|head)\.", ""))
    return {name: tensor for name, tensor in names.items() if not name.startswith("inters.")}


def princeton_names(state: State) -> dict[str, Tensor]:
    """A stacked hourglass of princeton-vl under the names of bearpaw, which are ours.

    Its residual blocks hold a convolution for the shortcut even where the shortcut is plain; those are left out.
    """
    names = _renamed(
        state,
        (r"^((module|model)\.)+", ""),
        (r"^pre\.0\.conv\.", "conv1."),
        (r"^pre\.0\.bn\.", "bn1."),
        (r"^pre\.1\.", "layer1.0."),
        (r"^pre\.3\.", "layer2.0."),
        (r"^pre\.4\.", "layer3.0."),
        (r"^features\.(\d+)\.0\.", r"res.\1.0."),
        (r"^features\.(\d+)\.1\.conv\.", r"fc.\1.0."),
        (r"^features\.(\d+)\.1\.bn\.", r"fc.\1.1."),
        (r"^outs\.(\d+)\.conv\.", r"score.\1."),
        (r"^merge_features\.(\d+)\.conv\.conv\.", r"fc_.\1."),
        (r"^merge_preds\.(\d+)\.conv\.conv\.", r"score_.\1."),
        (r"\.conv([123])\.conv\.", r".conv\1."),
        (r"\.skip_layer\.conv\.", r".downsample.0."),
    )
    shortcuts = re.compile(r"^(?!layer[13]\.).*\.downsample\.")
    return {_level(name): tensor for name, tensor in names.items() if not shortcuts.match(name)}


def is_princeton(state: State) -> bool:
    """Whether these tensors bear princeton-vl's names."""
    return any(name.endswith("pre.0.conv.weight") for name in state)


def _level(name: str) -> str:
    """`hgs.2.0.low2.low2.up1.x` -> `hg.2.hg.1.0.0.x`: recursion becomes a number, 3 outside, 0 inside."""
    found = re.match(r"^hgs\.(\d+)\.0\.((?:low2\.)*)(up1|low1|low2|low3)\.(.*)$", name)
    if not found:
        return name
    stack, path, part, rest = found.groups()
    return f"hg.{stack}.hg.{3 - path.count('low2')}.{('up1', 'low1', 'low3', 'low2').index(part)}.0.{rest}"


def _renamed(state: State, *patterns: tuple[str, str]) -> dict[str, Tensor]:
    """All patterns replaced in every name, in their order."""
    renamed = {}
    for name, tensor in state.items():
        for pattern, replacement in patterns:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor
    return renamed
