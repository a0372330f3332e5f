"""rtmlib on several streams at once: each is captured in a thread of its own, frames of all are taken in turn.

A file plays in real time, again and again, like a camera. Of more than `BACKLOG` waiting frames the oldest is dropped,
and counted. Ids and masks there are none.

Runs in an environment that has rtmlib and nothing of ours.

Usage: python rtmlib_streams.py WARM SECONDS FPS DETECTOR.onnx POSE.onnx BACKEND EVERY SOURCE...
"""

import sys
import threading
import time
from collections import deque

import cv2
import numpy as np
from rtmlib_people import People
from watch import BACKLOG, STAGGER, Watch, show


class Capture(threading.Thread):
    """Keeps the newest frames of a source and when they were due."""

    def __init__(self, source: str, fps: float) -> None:
        super().__init__(daemon=True)
        self._source = source
        self._fps = fps
        self._is_file = "://" not in source
        self._lock = threading.Lock()
        self._waiting: deque[tuple[np.ndarray, float]] = deque(maxlen=BACKLOG)
        self._over = threading.Event()
        self.dropped = 0

    def run(self) -> None:
        capture, start, number = cv2.VideoCapture(self._source), time.time(), 0
        while not self._over.is_set():
            found, image = capture.read()
            if not found:
                capture.release()
                capture = cv2.VideoCapture(self._source)
                continue
            captured = start + number / self._fps if self._is_file else time.time()
            number += 1
            if self._is_file:
                time.sleep(max(0.0, captured - time.time()))
            with self._lock:
                self.dropped += len(self._waiting) == BACKLOG
                self._waiting.append((image, captured))

    def stop(self) -> None:
        self._over.set()
        self.join(5)

    def take(self) -> tuple[np.ndarray, float] | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None


warm, seconds, fps, detector, pose, backend, every, *sources = sys.argv[1:]
people = People(detector, pose, backend, int(every))
watch = Watch(len(sources), float(warm), float(seconds))
captures = [Capture(source, float(fps)) for source in sources]
for number, capture in enumerate(captures):
    threading.Timer(STAGGER * number, capture.start).start()
end = time.time() + watch.limit
while not watch.over and time.time() < end:
    idle = True
    for number, capture in enumerate(captures):
        oldest = capture.take()
        if oldest is not None:
            image, captured = oldest
            seen = people(str(number), image)
            watch.published(str(number), captured, time.time(), seen)
            idle = False
    watch.look(sum(capture.dropped for capture in captures))
    if idle:
        time.sleep(0.002)
for capture in captures:
    capture.stop()
if not watch.over:
    sys.exit("not all streams came")
show(watch.figures())
