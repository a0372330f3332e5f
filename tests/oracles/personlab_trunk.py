"""Golden arrays of PersonLab's trunk, made by TF-slim.

Usage, with TensorFlow 2.15 and tf-slim 1.1 (and PyTorch, for `tests.oracles.filled`) installed:

    python -m tests.oracles.personlab_trunk OUTPUT.npz

The network is TF-slim's own `resnet_v2` with blocks of 1, 2, 2 and 1 units, 8 features and output stride 8 or 16, as in
training (every batch-norm uses the statistics of the image) or as in evaluation. Its variables are filled by
`tests.oracles.filled` under the names that `models.joint.personlab.from_slim` gives them. It looks at `example`.
"""

from __future__ import annotations

import importlib
import re
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.oracles.filled import filled

UNITS = (1, 2, 2, 1)
FEATURES = 8
LEAVES = {
    "weights": "weight",
    "gamma": "weight",
    "biases": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def example() -> npt.NDArray[np.float32]:
    """The image that the network looks at, [65, 97, 3]."""
    return np.random.default_rng(0).random((65, 97, 3), np.float32)


def value(variable: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """What the variable of TF-slim gets; kernels are [height, width, in, out]."""
    name = re.sub(r"^resnet_v2/", "trunk/", variable).replace("bottleneck_v2/", "")
    *modules, leaf = re.sub(r"conv([12])/BatchNorm/", r"norm\1/", name).split("/")
    ours = ".".join([*modules, LEAVES[leaf]])
    if len(shape) != 4:
        return filled(ours, shape).numpy()
    return filled(ours, tuple(shape[axis] for axis in (3, 2, 0, 1))).permute(2, 3, 1, 0).numpy()


def main() -> None:
    """Write the file."""
    _layers_of_tensorflow_1()
    tf: Any = importlib.import_module("tensorflow.compat.v1")
    slim: Any = importlib.import_module("tf_slim")
    resnet: Any = importlib.import_module("tf_slim.nets.resnet_v2")
    tf.disable_v2_behavior()
    arrays = {}
    for stride in (8, 16):
        for mode in ("batch", "running"):
            tf.reset_default_graph()
            blocks = [
                resnet.resnet_v2_block(f"block{n + 1}", base_depth=64 << n, num_units=units, stride=1 if n == 3 else 2)
                for n, units in enumerate(UNITS)
            ]
            with slim.arg_scope(resnet.resnet_arg_scope()):
                out, _ = resnet.resnet_v2(
                    tf.constant(example()[None]),
                    blocks,
                    FEATURES,
                    is_training=mode == "batch",
                    global_pool=False,
                    output_stride=stride,
                    scope="resnet_v2",
                )
            with tf.Session() as session:
                for variable in tf.global_variables():
                    variable.load(value(variable.name.removesuffix(":0"), tuple(variable.shape)), session)
                arrays[f"{mode} {stride}"] = session.run(out)[0].transpose(2, 0, 1)
    np.savez_compressed(sys.argv[1], **arrays)


def _layers_of_tensorflow_1() -> None:
    """Tell TensorFlow where Keras 2 keeps the layers that it looks for in `tf_keras`."""
    sys.modules["tf_keras"] = importlib.import_module("keras.src")
    sys.modules["tf_keras.legacy_tf_layers"] = importlib.import_module("keras.src.legacy_tf_layers")
    name = "legacy_tf_layers.normalization"
    sys.modules[f"tf_keras.{name}"] = importlib.import_module(f"keras.src.{name}")


if __name__ == "__main__":
    main()
