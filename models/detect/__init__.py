"""Finding persons: YOLOX, YOLOv3, RTMDet, and what is done before and after them."""
