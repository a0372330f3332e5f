"""Cutting people out: BlazePose and what is done before and after it."""

from models.segment.blazepose import VARIANTS, BlazePose, load_tflite
from models.segment.segmenter import BlazePoseSegmenter

__all__ = ["VARIANTS", "BlazePose", "BlazePoseSegmenter", "load_tflite"]
