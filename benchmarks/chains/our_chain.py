"""One of our configurations on a video, with ids and whatever else it asks for.

Usage: python our_chain.py VIDEO CONFIG.yaml FRAMES [KEY=VALUE]...
"""

import json
import sys
import threading

from stream import FrameResult, Pipeline, load_config

video, config, frames, *settings = sys.argv[1:]
results: list[FrameResult] = []
enough = threading.Event()


def take(result: FrameResult) -> None:
    results.append(result)
    if len(results) > int(frames):
        enough.set()


with Pipeline(load_config(config, settings, [video]), on_result=take) as pipeline:
    runner = threading.Thread(target=pipeline.run)
    runner.start()
    while runner.is_alive() and not enough.wait(0.1):
        pass
    pipeline.stop()
    runner.join()
seconds = results[-1].published_at - results[0].published_at
people = sum(len(result.people) for result in results[1:])
figures = {"fps": (len(results) - 1) / seconds, "people_per_frame": people / (len(results) - 1)}
sys.stdout.write(json.dumps(figures) + "\n")
