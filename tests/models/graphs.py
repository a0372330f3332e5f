"""Graphs as an exporter writes them, made from our own networks."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from models.formats.onnx import OnnxGraph, OnnxNode

Module = TypeVar("Module", bound=nn.Module)


def exported(network: nn.Module, example: Tensor, kept: Collection[str] = ()) -> OnnxGraph:
    """The convolutions and linear layers of `network` in order of execution, with meaningless names but for `kept`.

    Linear layers become products with the transposed weight, as PyTorch's exporter writes them.
    """
    state = {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}
    initializers = {name: state[name] for name in kept}
    nodes: list[OnnxNode] = []

    def constant(name: str, transposed: bool = False) -> str:
        alias = name if name in kept else f"onnx::{len(initializers)}"
        initializers[alias] = np.ascontiguousarray(state[name].T) if transposed else state[name]
        return alias

    def record(layer: nn.Module, name: str) -> None:
        if isinstance(layer, nn.Conv2d):
            inputs = ("x", constant(f"{name}.weight"), constant(f"{name}.bias"))
            nodes.append(OnnxNode("Conv", f"Conv_{len(nodes)}", inputs, ("y",), {"group": layer.groups}))
        elif isinstance(layer, nn.Linear):
            inputs = ("x", constant(f"{name}.weight", transposed=True))
            nodes.append(OnnxNode("MatMul", f"MatMul_{len(nodes)}", inputs, ("y",), {}))

    hooks = [
        layer.register_forward_hook(lambda layer, *_, name=name: record(layer, name))
        for name, layer in network.named_modules()
    ]
    with torch.inference_mode():
        network(example)
    for hook in hooks:
        hook.remove()
    return OnnxGraph(initializers, tuple(nodes), ("input",), ("output",))


def scrambled(network: Module) -> Module:
    """`network` with random batch-norm statistics, so that folding them changes something; in evaluation mode."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.2, 0.2)
            nn.init.uniform_(part.running_mean, -0.2, 0.2)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    return network.eval()
