"""One of our configurations on a video, as fast as it can, with ids and whatever else it asks for.

Usage: python our_chain.py VIDEO FRAMES CONFIG.yaml [KEY=VALUE]...
"""

import sys

from stopwatch import Stopwatch

from stream import FrameResult, Pipeline, load_config

video, frames, config, *settings = sys.argv[1:]
stopwatch = Stopwatch(int(frames))


def take(result: FrameResult) -> None:
    if not stopwatch.done:
        stopwatch.count(len(result.people), result.published_at)


with Pipeline(load_config(config, settings, [video]), on_result=take) as pipeline:
    pipeline.run(on_tick=lambda: pipeline.stop() if stopwatch.done else None)
stopwatch.show()
