"""Finding persons: YOLOX and what is done before and after it."""

from models.detect.csp_darknet import Scale
from models.detect.detector import YOLOXDetector, load_yolox, yolox_detector
from models.detect.yolox import SCALES, YOLOX

__all__ = ["SCALES", "YOLOX", "Scale", "YOLOXDetector", "load_yolox", "yolox_detector"]
