"""Pipelines with a page, running beside a test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stream.config import StreamConfig
from stream.pipeline import Pipeline
from tests.stream.graphs import assembly, patterns


def endless(id_: str, size: str = "96x64") -> StreamConfig:
    """A test pattern that goes on as a camera does."""
    return StreamConfig(id=id_, source=f"testpattern://{size}@25", pace="realtime")


def eventually(true: Callable[[], object], within: float = 20.0) -> None:
    """Wait until it is true."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@contextmanager
def served(*streams: StreamConfig, address: str = "127.0.0.1:0", **web: object) -> Iterator[Pipeline]:
    """A run with a page; afterwards no thread of it is left."""
    before = threading.active_count()
    with Pipeline(patterns(web={"address": address, **web}), assembly=assembly()) as pipeline:
        for stream in streams:
            pipeline.add_stream(stream)
        run = threading.Thread(target=pipeline.run)
        run.start()
        try:
            eventually(lambda: pipeline._web is not None and pipeline._web._thread.is_alive())
            eventually(lambda: all(state.delivered for state in pipeline.streams.values()))
            yield pipeline
        finally:
            pipeline.stop()
            run.join(30)
            assert not run.is_alive()
    assert threading.active_count() == before
