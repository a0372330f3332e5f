"""Pretrained tensors into networks: by name from a checkpoint, by order of execution from an exported graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.errors import CheckpointError
from models.formats.onnx import OnnxGraph, OnnxNode

Operator = Literal["Conv", "MatMul"]
_LAYERS: Mapping[Operator, type[nn.Module]] = {"Conv": nn.Conv2d, "MatMul": nn.Linear}


def load_state(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy `state` into `network`: every tensor of the one must be in the other, with the same shape.

    Batch-norm's counts of training steps are optional: inference has no use for them, and some files lack them.

    Raises:
        CheckpointError: names the first tensor that is missing, unexpected or of another shape.
    """
    own = network.state_dict()
    missing = [name for name in own if name not in state and not name.endswith(".num_batches_tracked")]
    unexpected = [name for name in state if name not in own]
    reshaped = [
        f"{name} is {list(state[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in own.items()
        if name in state and state[name].shape != tensor.shape
    ]
    faults = [
        f"{len(names)} tensors {fault}, first {names[0]}"
        for fault, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped))
        if names
    ]
    if faults:
        raise CheckpointError(f"these weights do not fit {type(network).__name__}: {'; '.join(faults)}")
    network.load_state_dict(state, strict=False)


def graph_state(network: nn.Module, graph: OnnxGraph, example: Tensor) -> dict[str, Tensor]:
    """The tensors of an exported graph under the names that `network`, with its batch-norm folded, has for them.

    An exporter renames folded weights, but writes operators in order of execution: the n-th convolution of the graph is
    the n-th that `network` runs on `example`, and likewise its products with constant matrices are the linear layers
    (without bias). A tensor that kept its name is taken by it, and must agree with that order.

    Raises:
        CheckpointError: the graph has another number of layers, or another order.
    """
    names = network.state_dict().keys()
    state = {name: _tensor(array) for name, array in graph.initializers.items() if name in names}
    for op in _LAYERS:
        layers, nodes = _executed(network, op, example), _nodes(graph, op)
        if len(layers) != len(nodes):
            raise CheckpointError(
                f"this graph is not a {type(network).__name__} of this size: "
                f"it has {len(nodes)} {op} layers, the network has {len(layers)}"
            )
        for layer, node in zip(layers, nodes, strict=True):
            weight, *bias = node.inputs[1:]
            if weight in names and weight != f"{layer}.weight":
                raise CheckpointError(
                    f"this graph is not a {type(network).__name__}: it has {weight} where the network has {layer}"
                )
            array = graph.initializers[weight]
            state[f"{layer}.weight"] = _tensor(array.T if op == "MatMul" else array)
            if bias:
                state[f"{layer}.bias"] = _tensor(graph.initializers[bias[0]])
    return state


def layer_weights(graph: OnnxGraph, op: Operator) -> list[npt.NDArray[Any]]:
    """The constant weights of the layers of this kind, in order of execution."""
    return [graph.initializers[node.inputs[1]] for node in _nodes(graph, op)]


def depth_of(graph: OnnxGraph, depths: Collection[float], build: Callable[[float], nn.Module]) -> float:
    """The one of `depths` with which `build` makes a network of as many convolutions as `graph` has.

    Raises:
        CheckpointError: there is none.
    """
    wanted = len(_nodes(graph, "Conv"))
    for depth in sorted(depths):
        with torch.device("meta"):
            network = build(depth)
        if len(_layers(network, "Conv")) == wanted:
            return depth
    raise CheckpointError(
        f"this graph is not a {type(network).__name__} of a published depth: it has {wanted} convolutions"
    )


def _nodes(graph: OnnxGraph, op: Operator) -> list[OnnxNode]:
    return [node for node in graph.nodes if node.op == op and node.inputs[1] in graph.initializers]


def _layers(network: nn.Module, op: Operator) -> dict[str, nn.Module]:
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, _LAYERS[op])}


def _executed(network: nn.Module, op: Operator, example: Tensor) -> list[str]:
    """Names of the layers of this kind in the order in which a forward pass runs them."""
    order: list[str] = []
    hooks = [
        layer.register_forward_hook(lambda *_, name=name: order.append(name))
        for name, layer in _layers(network, op).items()
    ]
    with torch.inference_mode():
        network(example)
    for hook in hooks:
        hook.remove()
    return order


def _tensor(array: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))
