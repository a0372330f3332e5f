"""Graphs as a TensorFlow Lite converter writes them, made from our own networks."""

from __future__ import annotations

import numpy as np
import torch
from torch import fx, nn

from models.formats.tflite import TfliteGraph, TfliteOperator, TfliteTensor
from models.segment.blazepose import BlazePose


def converted(network: BlazePose, seed: int = 0) -> TfliteGraph:
    """`network` with its operators in random order, and a landmark head that shares the encoder."""
    modules = dict(network.named_modules())
    tensors: list[TfliteTensor] = []
    operators: list[TfliteOperator] = []
    computed: dict[fx.Node, int] = {}

    def add(shape: tuple[int, ...], data: np.ndarray | None = None) -> int:
        tensors.append(TfliteTensor(f"tensor_{len(tensors)}", shape, data))
        return len(tensors) - 1

    def constants(layer: nn.Conv2d) -> list[int]:
        assert layer.bias is not None
        kernel, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        kernel = kernel.transpose((1, 2, 3, 0) if layer.groups > 1 else (0, 2, 3, 1))
        return [add(kernel.shape, np.ascontiguousarray(kernel)), add(bias.shape, bias)]

    def operator(op: str, inputs: list[int], shape: tuple[int, ...] = ()) -> int:
        operators.append(TfliteOperator(op, tuple(inputs), (add(shape),), {}))
        return operators[-1].outputs[0]

    for node in fx.symbolic_trace(network).graph.nodes:
        layer = modules.get(str(node.target)) if node.op == "call_module" else None
        sources = [computed[source] for source in node.all_input_nodes]
        if node.op == "placeholder":
            computed[node] = add((1, 256, 256, 3))
        elif isinstance(layer, nn.Conv2d):
            shape = (1, 256, 256, 1) if layer is network.logits else ()
            op = "DEPTHWISE_CONV_2D" if layer.groups > 1 else "CONV_2D"
            computed[node] = operator(op, sources + constants(layer), shape)
        elif node.op != "output":
            computed[node] = operator("OTHER", sources)
    mask = operators[-1].outputs[0]
    landmarks = operator("CONV_2D", [operators[20].outputs[0], *constants(nn.Conv2d(16, 195, 2))], (1, 195))
    shuffled = [operators[i] for i in np.random.default_rng(seed).permutation(len(operators))]
    return TfliteGraph(tuple(tensors), tuple(shuffled), (0,), (landmarks, mask))


def randomized(network: BlazePose, seed: int) -> BlazePose:
    """`network` with other random weights."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.1, 0.1, generator=generator)
    return network.eval()
