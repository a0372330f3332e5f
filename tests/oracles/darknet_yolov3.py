r"""How tests/models/detect/golden/yolov3*.npz were made: OpenCV, on weights that a rule makes and on real ones.

OpenCV before version 5 runs darknet's own pair of files, a configuration and weights. The weights are those of
`tests.oracles.filled` under our names, written in our order, and read in the order of the configuration: a layer in
another place would change every output. In two steps, because OpenCV 4 has to come from an environment of its own:

    git clone https://github.com/pjreddie/darknet                   # f6afaabc, public domain; the `cfg` folder
    python -m tests.oracles.darknet_yolov3 write FOLDER             # {darknet53,tiny}.weights
    python -m tests.oracles.darknet_yolov3 run FOLDER darknet/cfg tests/models/detect/golden/yolov3.npz

and on the published weights of the tiny network, five frames of the demo video at 416 x 416:

    python -m tests.oracles.darknet_yolov3 look yolov3-tiny.weights darknet/cfg vtest.avi \
        tests/models/detect/golden/yolov3_tiny_vtest.npz
"""

from __future__ import annotations

import re
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

CONFIGURATIONS = {"darknet53": "yolov3.cfg", "tiny": "yolov3-tiny.cfg"}
KEPT = 6
"""Of every row x, y, width, height, objectness and the first class."""


def example() -> npt.NDArray[np.uint8]:
    """The image that the networks look at, uint8 [64, 96, 3] BGR: also the size of their input."""
    return np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


def darknet_file(values: Array, version: tuple[int, int, int] = (0, 2, 0), seen: int = 32013312) -> bytes:
    """A darknet file of these values; before version 0.2 the count of images has four bytes."""
    return struct.pack("<3i", *version) + struct.pack("<q" if version >= (0, 2, 0) else "<i", seen) + values.tobytes()


def values_of(network: Any) -> Array:
    """What a darknet file of one of our networks holds after its header."""
    values = []
    for conv, norm in network.in_darknet_order():
        biases = [conv.bias] if norm is None else [norm.bias, norm.weight, norm.running_mean, norm.running_var]
        values += [tensor.detach().numpy().ravel() for tensor in (*biases, conv.weight)]
    return np.concatenate(values)


def write(folder: Path) -> None:
    """The weights that the rule makes, as darknet files."""
    from models.detect.yolov3 import VARIANTS, YOLOV3
    from tests.oracles.filled import fill

    for name in CONFIGURATIONS:
        (folder / f"{name}.weights").write_bytes(darknet_file(values_of(fill(YOLOV3(VARIANTS[name])))))


def run(folder: Path, configurations: Path, golden: Path) -> None:
    """What OpenCV 4 makes of them: rows of box (fractions of the input), objectness, class score x objectness."""
    import cv2

    arrays = {}
    for name in CONFIGURATIONS:
        network = read(name, folder / f"{name}.weights", configurations, example().shape[:2])
        network.setInput(cv2.dnn.blobFromImage(example(), 1 / 255, swapRB=True))
        arrays[name] = rows(network)
    np.savez_compressed(golden, **arrays)


def look(weights: Path, configurations: Path, video: Path, golden: Path, score: float = 0.3, iou: float = 0.45) -> None:
    """The persons that the real weights find: of each frame [N, 5], x1, y1, x2, y2 in its pixels and the score."""
    import cv2

    network, film, arrays = read("tiny", weights, configurations, (416, 416)), cv2.VideoCapture(str(video)), {}
    for number, at in enumerate((0, 150, 300, 450, 600)):
        film.set(cv2.CAP_PROP_POS_FRAMES, at)
        frame = film.read()[1]
        square = np.full((416, 416, 3), 127, np.uint8)
        square[52:364] = cv2.resize(frame, (416, 312))  # of 768 x 576
        network.setInput(cv2.dnn.blobFromImage(square, 1 / 255, swapRB=True))
        found = rows(network)
        found = found[found[:, 5] >= score]
        scale = 768 / 416
        centres, sizes = (found[:, :2] * 416 - [0, 52]) * scale, found[:, 2:4] * 416 * scale
        boxes = np.concatenate([centres - sizes / 2, sizes], axis=1)
        kept = np.asarray(cv2.dnn.NMSBoxes(boxes.tolist(), found[:, 5].tolist(), score, iou), int)
        boxes = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).clip(0, [768, 576, 768, 576])
        arrays[str(number)] = np.column_stack([boxes, found[:, 5]])[kept].astype(np.float32)
    np.savez_compressed(golden, **arrays)


def read(name: str, weights: Path, configurations: Path, size: tuple[int, int]) -> Any:
    """OpenCV's network for inputs of this height and width."""
    import cv2

    text = (configurations / CONFIGURATIONS[name]).read_text()
    if name == "tiny":
        text = text.replace("mask = 0,1,2", "mask = 1,2,3")  # what its weights were trained with
    # OpenCV would set scores below .2 to 0.
    text = re.sub(r"\[yolo\]", "[yolo]\nthresh=0", text)
    text = re.sub(r"height *= *\d+", f"height={size[0]}", re.sub(r"width *= *\d+", f"width={size[1]}", text))
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(text)
        file.flush()
        return cv2.dnn.readNetFromDarknet(file.name, str(weights))


def rows(network: Any) -> Array:
    """Its output, coarsest map first: x, y, width, height as fractions of the input, objectness, score of class 0."""
    layers = sorted(network.getUnconnectedOutLayersNames(), key=lambda layer: int(layer.rpartition("_")[2]))
    return np.concatenate(network.forward(layers))[:, :KEPT]


if __name__ == "__main__":
    {"write": write, "run": run, "look": look}[sys.argv[1]](*map(Path, sys.argv[2:]))
