"""Readers of the formats that pretrained weights come in; none of them needs the framework that wrote the file.

* `models.formats.onnx`: the initializers and nodes of an ONNX graph.
* `models.formats.tflite`: the tensors and operators of a TensorFlow Lite flatbuffer.
* `models.formats.darknet`: the numbers in a darknet `.weights` file.
* `models.formats.pth`: the tensors of a PyTorch checkpoint, read without running anything that it asks for.
* `models.formats.paddle`: the tensors of a PaddlePaddle parameter file.
* `models.formats.tensorflow`: the tensors of a TensorFlow 1 checkpoint.

Each has `read(path)`; a file that it cannot read raises `CheckpointError` with one sentence.
"""

from models.errors import CheckpointError

__all__ = ["CheckpointError"]
