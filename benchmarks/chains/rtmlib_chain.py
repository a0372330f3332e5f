"""rtmlib on a video, as fast as it can.

Runs in an environment that has rtmlib and nothing of ours.

Usage: python rtmlib_chain.py VIDEO FRAMES DETECTOR.onnx POSE.onnx BACKEND EVERY
"""

import sys

import cv2
from rtmlib_people import People
from stopwatch import Stopwatch

video, frames, detector, pose, backend, every = sys.argv[1:]
people = People(detector, pose, backend, int(every))
capture = cv2.VideoCapture(video)
stopwatch = Stopwatch(int(frames))
while not stopwatch.done:
    found, image = capture.read()
    if not found:
        break
    stopwatch.count(people("video", image))
stopwatch.show()
