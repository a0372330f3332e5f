"""What is told of a stream."""

from __future__ import annotations

import math

from stream.batching import Batcher, Terms
from stream.config import StreamConfig
from stream.state import StreamState


def test_a_stream_that_is_paused_still_says_why_it_was_lost() -> None:
    inbox = Batcher(1, 0.0).open(Terms(1, "latest", math.inf))
    state = StreamState(StreamConfig(id="a", source="rtsp://cam/1"), inbox)
    state.lose("rtsp://cam/1: nobody answers")
    assert (state.report()["state"], state.report()["reason"]) == ("reconnecting", "rtsp://cam/1: nobody answers")
    state.pause()
    assert (state.report()["state"], state.report()["reason"]) == ("paused", "")
    state.resume()
    assert state.report()["reason"] == "rtsp://cam/1: nobody answers"
