"""Networks quantised to int8 by NNCF, as OpenVINO has them; what they are worth is for others to find out.

Weights get a scale per output channel, activations a scale and an offset per tensor (Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018), from what the network is seen to
compute for samples; the mean error that is left is taken out of the biases.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy.typing as npt

from models.backends.base import BackendUnavailableError, CompileSpec, Precision
from models.backends.half import KEEP
from models.backends.openvino import OpenVINOBackend, converted

if TYPE_CHECKING:
    from torch import nn

Sample: TypeAlias = "tuple[npt.NDArray[Any], ...]"
"""What a network is given at one call: its inputs, of one row each."""

NOT_INT8 = "not_int8"
"""Attribute of a module that names those of its parts that are not to be quantised, as a tuple of dotted paths."""

_MULTIPLY_WEIGHTS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul")
"""OpenVINO's names of the layers that are quantised."""


class CalibratingBackend(OpenVINOBackend):
    """Makes the int8 networks that `OpenVINOBackend` serves once they are kept; the engines of both have the same key.

    Args:
        samples: what the network is given where it will be used; a hundred are enough.
    """

    quantises = True

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def precisions(self) -> tuple[Precision, ...]:
        """int8 alone."""
        return ("int8",)

    def model(self, network: nn.Module, spec: CompileSpec) -> Any:
        """`network` converted and quantised."""
        return quantised(network, spec, self._samples)


def quantised(network: nn.Module, spec: CompileSpec, samples: Sequence[Sample]) -> Any:
    """`network` as an `openvino.Model` of any batch size, in int8 but for what follows.

    The layers that make its outputs stay as they are: these tell a sure person from a surer one, and are a small part
    of the work. YOLOX-tiny loses .012 AP of persons with them in int8, and less than .001 so. What a module names in
    `not_int8` or `keep_float32` stays too. It is run in bfloat16 where the processor has that.

    Raises:
        BackendUnavailableError: NNCF is not installed.
    """
    nncf = _nncf()
    model = converted(network, spec)
    ignored = nncf.IgnoredScope(names=sorted(output_layers(model)), patterns=list(_kept(network)), validate=False)
    dataset = nncf.Dataset(samples, list)
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars
        return nncf.quantize(
            model, dataset, preset=nncf.QuantizationPreset.MIXED, subset_size=len(samples), ignored_scope=ignored
        )


def output_layers(model: Any) -> set[str]:
    """The names of the layers with weights after which no other comes."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [result.input_value(0).get_node() for result in model.get_results()]
    while waiting:
        node = waiting.pop()
        name = node.get_friendly_name()
        if name in seen:
            continue
        seen.add(name)
        if node.get_type_name() in _MULTIPLY_WEIGHTS:
            found.add(name)
        else:
            waiting += [node.input_value(i).get_node() for i in range(node.get_input_size())]
    return found


def _kept(network: nn.Module) -> Iterator[str]:
    """Patterns of the names that OpenVINO gives to what is in the parts that stay as they are."""
    for path, module in network.named_modules():
        for child in (*getattr(module, NOT_INT8, ()), *getattr(module, KEEP, ())):
            yield rf"__module\.{re.escape(f'{path}.{child}' if path else child)}[./].*"


def _nncf() -> Any:
    """NNCF, which keeps its progress to itself and sends nothing home: it would, were it not told that this is CI."""
    os.environ.setdefault("NNCF_CI", "1")
    try:
        import nncf
    except ImportError as error:
        raise BackendUnavailableError("NNCF is not installed (pip install 'peoplestream[int8]')") from error
    logging.getLogger("nncf").setLevel(logging.ERROR)  # its own set_log_level changes handlers of others too
    return nncf
