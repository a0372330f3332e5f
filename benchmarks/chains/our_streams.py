"""One of our configurations on several streams at once: what it publishes, how late, and what it drops.

A file plays in real time, again and again, like a camera. Of more than `BACKLOG` waiting frames the oldest is dropped.

Usage: python our_streams.py WARM SECONDS CONFIG.yaml SOURCE... [--set KEY=VALUE]...
"""

import argparse
import sys
import time

from watch import BACKLOG, STAGGER, Watch, show

from stream import FrameResult, Pipeline, load_config
from stream.config import StreamConfig
from stream.uri import is_live


def stream(number: int, source: str) -> StreamConfig:
    """A stream like that of a camera."""
    paced = {"pace": "realtime", "loop": True, "policy": "latest"}
    return StreamConfig(id=f"s{number}", source=source, backlog=BACKLOG, **({} if is_live(source) else paced))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("warm", type=float, help="seconds before it counts, from the first result of the last stream on")
parser.add_argument("seconds", type=float, help="seconds that count")
parser.add_argument("config")
parser.add_argument("sources", nargs="+")
parser.add_argument("--set", action="append", default=[], dest="settings")
options = parser.parse_args()
watch = Watch(len(options.sources), options.warm, options.seconds)


def take(result: FrameResult) -> None:
    watch.published(result.stream, result.captured_at, result.published_at, len(result.people))


waiting = [stream(number, source) for number, source in enumerate(options.sources)]
config = load_config(options.config, options.settings).model_copy(update={"streams": (waiting.pop(0),)})
with Pipeline(config, on_result=take) as pipeline:
    begun = time.monotonic()

    def look() -> None:
        while waiting and time.monotonic() - begun > STAGGER * len(pipeline.streams):
            pipeline.add_stream(waiting.pop(0))
        watch.look(sum(sum(state.dropped.values()) for state in pipeline.streams.values()))
        if watch.over:
            pipeline.stop()

    pipeline.run(duration=watch.limit, on_tick=look)
if not watch.over:
    sys.exit("not all streams came")
show(watch.figures())
