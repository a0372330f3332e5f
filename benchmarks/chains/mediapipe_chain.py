"""MediaPipe Pose on a video, as fast as it can; it looks for one person.

Runs in an environment that has mediapipe and nothing of ours.

Usage: python mediapipe_chain.py VIDEO FRAMES
"""

import sys

import cv2
from mediapipe import solutions
from stopwatch import Stopwatch

video, frames = sys.argv[1:]
capture = cv2.VideoCapture(video)
stopwatch = Stopwatch(int(frames))
with solutions.pose.Pose() as pose:
    while not stopwatch.done:
        found, image = capture.read()
        if not found:
            break
        landmarks = pose.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).pose_landmarks
        stopwatch.count(0 if landmarks is None else 1)
stopwatch.show()
