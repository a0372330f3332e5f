"""Finding persons: YOLOX, YOLOv3, RTMDet, and what is done before and after them."""

from models.detect.csp_darknet import Scale
from models.detect.rtmdet import RTMDet
from models.detect.rtmdet_task import RTMDetDetector, load_rtmdet, rtmdet_detector
from models.detect.yolov3 import VARIANTS, YOLOV3
from models.detect.yolov3_task import YOLOV3Detector, load_yolov3, yolov3_detector
from models.detect.yolox import SCALES, YOLOX
from models.detect.yolox_task import YOLOXDetector, load_yolox, yolox_detector

__all__ = [
    "SCALES",
    "VARIANTS",
    "YOLOV3",
    "YOLOX",
    "RTMDet",
    "RTMDetDetector",
    "Scale",
    "YOLOV3Detector",
    "YOLOXDetector",
    "load_rtmdet",
    "load_yolov3",
    "load_yolox",
    "rtmdet_detector",
    "yolov3_detector",
    "yolox_detector",
]
