"""Finding persons and, in the same network, their keypoints or masks: RTMO, RTMDet-Ins and PersonLab."""

from models.joint.personlab import PersonLab
from models.joint.personlab_task import PersonLabDetector, load_personlab, personlab_detector
from models.joint.rtmdet_ins import RTMDetIns
from models.joint.rtmdet_ins_task import RTMDetInsDetector, load_rtmdet_ins, rtmdet_ins_detector
from models.joint.rtmo import RTMO
from models.joint.rtmo_task import RTMODetector, load_rtmo, rtmo_detector

__all__ = [
    "RTMO",
    "PersonLab",
    "PersonLabDetector",
    "RTMDetIns",
    "RTMDetInsDetector",
    "RTMODetector",
    "load_personlab",
    "load_rtmdet_ins",
    "load_rtmo",
    "personlab_detector",
    "rtmdet_ins_detector",
    "rtmo_detector",
]
