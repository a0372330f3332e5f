"""Ultralytics' pose tracking (ByteTrack) on a video, as fast as it can, with OpenVINO.

Runs in an environment that has ultralytics and nothing of ours. The model is exported on the first run, beside the
weights, at the size that is asked for.

Usage: python ultralytics_chain.py VIDEO FRAMES WEIGHTS.pt HEIGHT WIDTH
"""

import sys
from pathlib import Path
from shutil import copyfile

from stopwatch import Stopwatch
from ultralytics import YOLO

video, frames, weights, height, width = sys.argv[1:]
size = int(height), int(width)
folder = Path(weights).parent / f"{height}x{width}"
exported = folder / f"{Path(weights).stem}_openvino_model"
if not exported.is_dir():
    folder.mkdir(exist_ok=True)
    copyfile(weights, folder / Path(weights).name)  # it exports beside the weights, at one size
    YOLO(folder / Path(weights).name).export(format="openvino", imgsz=size)
model = YOLO(exported, task="pose")
stopwatch = Stopwatch(int(frames))
for result in model.track(video, stream=True, tracker="bytetrack.yaml", imgsz=size, verbose=False):
    stopwatch.count(0 if result.boxes.id is None else len(result.boxes.id))
    if stopwatch.done:
        break
stopwatch.show()
