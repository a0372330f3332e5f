"""rtmlib on a video: YOLOX-tiny at 416 x 416 and RTMPose-s in every frame, no ids, no masks.

Runs in an environment that has rtmlib and nothing of ours.

Usage: python rtmlib_chain.py VIDEO DETECTOR.onnx POSE.onnx BACKEND FRAMES
"""

import json
import sys
import time

import cv2
from rtmlib import YOLOX, RTMPose

video, detector_file, pose_file, backend, frames = sys.argv[1:]
detector = YOLOX(detector_file, model_input_size=(416, 416), backend=backend, device="cpu")
pose = RTMPose(pose_file, model_input_size=(192, 256), backend=backend, device="cpu")
capture = cv2.VideoCapture(video)
count = people = 0
start = 0.0
while count <= int(frames):
    found, frame = capture.read()
    if not found:
        break
    boxes = detector(frame)
    if len(boxes):
        pose(frame, bboxes=boxes)
    if count:  # the first frame warms up
        people += len(boxes)
    else:
        start = time.perf_counter()
    count += 1
seconds = time.perf_counter() - start
figures = {"fps": (count - 1) / seconds, "people_per_frame": people / max(count - 1, 1)}
sys.stdout.write(json.dumps(figures) + "\n")
