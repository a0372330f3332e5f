"""Finding keypoints: RTMPose and what is done before and after it."""

from models.pose.cspnext import Scale
from models.pose.estimator import RTMPoseEstimator, load_rtmpose, rtmpose_estimator
from models.pose.rtmpose import SCALES, RTMPose

__all__ = ["SCALES", "RTMPose", "RTMPoseEstimator", "Scale", "load_rtmpose", "rtmpose_estimator"]
