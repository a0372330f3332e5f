r"""How tests/models/segment/golden/eiseg.npz was made: PaddleSeg's own program, translated to ONNX, on one picture.

The program lies beside the parameters in the wheel paddlelabel-ml 1.0.0 (Apache-2.0). paddle2onnx 1.2.4 translates it
without PaddlePaddle, in an environment of its own; ONNX Runtime runs it:

    paddle2onnx --model_dir ckpt --model_filename static_hrnet18_ocr64_cocolvis.pdmodel \
        --params_filename static_hrnet18_ocr64_cocolvis.pdiparams --save_file eiseg.onnx --opset_version 11
    python -m tests.oracles.paddle_eiseg eiseg.onnx tests/models/segment/golden/eiseg.npz
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def picture() -> Array:
    """A normalised picture of smooth colours, [1, 3, 192, 256]."""
    rows, columns = np.mgrid[:192, :256] / 64
    return np.stack([np.sin(rows + columns), np.cos(2 * rows), np.sin(3 * columns)])[None].astype(np.float32)


def clicks() -> Array:
    """One click where the object is and one where it is not, as squares, [1, 2, 192, 256]."""
    disks = np.zeros((1, 2, 192, 256), np.float32)
    disks[0, 0, 90:101, 120:131] = disks[0, 1, :9, :9] = 1
    return disks


def pdiparams(tensors: Iterable[Array]) -> bytes:
    """A `.pdiparams` file of these tensors."""
    return b"".join(map(_tensor, tensors))


def _tensor(tensor: Array) -> bytes:
    description = b"\x08\x05" + b"".join(b"\x10" + _varint(side) for side in tensor.shape)
    return struct.pack("<IQIi", 0, 0, 0, len(description)) + description + np.ascontiguousarray(tensor).tobytes()


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def main(graph: Path, golden: Path) -> None:
    """Write `golden`: every sixth row and column of the logits."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    known_before = np.zeros((1, 1, 192, 256), np.float32)
    inputs = {"image": picture(), "coord_features": np.concatenate([known_before, clicks()], axis=1)}
    np.savez_compressed(golden, logits=session.run(None, inputs)[0][0, 0, ::6, ::6])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
