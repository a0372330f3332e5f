"""rtmlib on several streams at once: each is captured in a thread of its own, the newest frames are taken in turn.

A file plays in real time, again and again, like a camera. A frame that was not taken when the next one comes is dropped
and counted. Ids and masks there are none.

Runs in an environment that has rtmlib and nothing of ours.

Usage: python rtmlib_streams.py WARM SECONDS DETECTOR.onnx POSE.onnx BACKEND EVERY SOURCE...
"""

import sys
import threading
import time

import cv2
import numpy as np
from rtmlib_people import People
from watch import STAGGER, Watch, show

FPS = 10.0


class Capture(threading.Thread):
    """Keeps the newest frame of a source and when it was due."""

    def __init__(self, source: str) -> None:
        super().__init__(daemon=True)
        self._source = source
        self._is_file = "://" not in source
        self._lock = threading.Lock()
        self._newest: tuple[np.ndarray, float] | None = None
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
            captured = start + number / FPS if self._is_file else time.time()
            number += 1
            if self._is_file:
                time.sleep(max(0.0, captured - time.time()))
            with self._lock:
                self.dropped += self._newest is not None
                self._newest = image, captured

    def stop(self) -> None:
        self._over.set()
        self.join(5)

    def take(self) -> tuple[np.ndarray, float] | None:
        with self._lock:
            newest, self._newest = self._newest, None
            return newest


warm, seconds, detector, pose, backend, every, *sources = sys.argv[1:]
people = People(detector, pose, backend, int(every))
watch = Watch(len(sources), float(warm), float(seconds))
captures = [Capture(source) for source in sources]
for number, capture in enumerate(captures):
    threading.Timer(STAGGER * number, capture.start).start()
end = time.time() + watch.limit
while not watch.over and time.time() < end:
    idle = True
    for number, capture in enumerate(captures):
        newest = capture.take()
        if newest is not None:
            image, captured = newest
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
