"""A disk that is slow: a file waits for it, and nothing of it is lost."""

from __future__ import annotations

import time
from pathlib import Path

from stream.pipeline import Pipeline
from stream.sinks import FORMATS, FolderSink
from stream.types import FrameResult, Image
from tests.stream.graphs import assembly, patterns
from tests.stream.sinks.scenes import recorded_seqs


class SlowSink(FolderSink):
    """Takes far longer to write a frame than the frame took to be made."""

    def write(self, result: FrameResult, image: Image | None) -> None:
        time.sleep(0.03)
        super().write(result, image)


def test_frames_of_a_file_are_lost_when_the_disk_is_slow(tmp_path: Path) -> None:
    sink = SlowSink(tmp_path, FORMATS["jsonl"])
    with Pipeline(patterns("lobby", frames=40), sinks=[sink], assembly=assembly()) as pipeline:
        summary = pipeline.run()
    assert recorded_seqs(sink.paths[0]) == list(range(40))
    assert not summary.streams[0].dropped and not summary.failures


def test_a_stop_forgets_what_waits_for_a_slow_disk(tmp_path: Path) -> None:
    sink = SlowSink(tmp_path, FORMATS["jsonl"])
    with Pipeline(patterns("lobby", frames=10_000), sinks=[sink], assembly=assembly()) as pipeline:
        summary = pipeline.run(duration=0.3)
    assert 0 < summary.frames < 10_000
    assert recorded_seqs(sink.paths[0]) == list(range(summary.frames))
