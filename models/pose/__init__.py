"""Finding keypoints: RTMPose, SimpleBaseline, hourglasses and FCN-8, and what is done before and after them."""

from models.cspnext import Scale
from models.pose.fcn8_task import FCN8PoseEstimator, fcn8_pose_estimator
from models.pose.heatmap_task import HeatmapEstimator, hourglass_estimator, simplebaseline_estimator
from models.pose.hourglass import StackedHourglass
from models.pose.hourglass52 import Hourglass52
from models.pose.rtmpose import SCALES, RTMPose
from models.pose.rtmpose_task import RTMPoseEstimator, load_rtmpose, rtmpose_estimator
from models.pose.simplebaseline import SimpleBaseline

__all__ = [
    "SCALES",
    "FCN8PoseEstimator",
    "HeatmapEstimator",
    "Hourglass52",
    "RTMPose",
    "RTMPoseEstimator",
    "Scale",
    "SimpleBaseline",
    "StackedHourglass",
    "fcn8_pose_estimator",
    "hourglass_estimator",
    "load_rtmpose",
    "rtmpose_estimator",
    "simplebaseline_estimator",
]
