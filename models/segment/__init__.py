"""Cutting people out: BlazePose, MobileSAM, EISeg, Pose2Seg, FCN-8 and contours, and what is done before and after."""

from models.segment.blazepose import VARIANTS, BlazePose, load_tflite
from models.segment.blazepose_task import BlazePoseSegmenter, blazepose_segmenter, load_blazepose
from models.segment.contour import ContourSegmenter, contour_segmenter
from models.segment.eiseg import EISeg, load_pdiparams
from models.segment.eiseg_task import EISegSegmenter, eiseg_segmenter, load_eiseg
from models.segment.fcn8 import FCN8
from models.segment.fcn8_task import FCN8Segmenter, fcn8_segmenter, load_fcn8
from models.segment.mobilesam import MobileSAM, load_mobilesam
from models.segment.mobilesam_task import MobileSAMSegmenter, mobilesam_segmenter
from models.segment.pose2seg import Pose2Seg
from models.segment.pose2seg_task import Pose2SegSegmenter, load_pose2seg, pose2seg_segmenter

__all__ = [
    "FCN8",
    "VARIANTS",
    "BlazePose",
    "BlazePoseSegmenter",
    "ContourSegmenter",
    "EISeg",
    "EISegSegmenter",
    "FCN8Segmenter",
    "MobileSAM",
    "MobileSAMSegmenter",
    "Pose2Seg",
    "Pose2SegSegmenter",
    "blazepose_segmenter",
    "contour_segmenter",
    "eiseg_segmenter",
    "fcn8_segmenter",
    "load_blazepose",
    "load_eiseg",
    "load_fcn8",
    "load_mobilesam",
    "load_pdiparams",
    "load_pose2seg",
    "load_tflite",
    "mobilesam_segmenter",
    "pose2seg_segmenter",
]
