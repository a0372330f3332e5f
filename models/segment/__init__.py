"""Cutting people out: BlazePose and what is done before and after it."""

from models.segment.blazepose import VARIANTS, BlazePose, load_tflite
from models.segment.segmenter import BlazePoseSegmenter, blazepose_segmenter, load_blazepose

__all__ = ["VARIANTS", "BlazePose", "BlazePoseSegmenter", "blazepose_segmenter", "load_blazepose", "load_tflite"]
