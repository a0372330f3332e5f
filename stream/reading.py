"""Reading one stream: from its source, which is opened anew after a change of its options, into its inbox."""

from __future__ import annotations

import logging
from dataclasses import replace

from stream.config import DecodeConfig
from stream.sources.nvdec import Hardware
from stream.sources.opening import open_source
from stream.sources.reader import SourceError
from stream.sources.source import Source
from stream.state import StreamState
from stream.types import StreamInfo

log = logging.getLogger(__name__)

TICK = 0.1
"""Seconds after which a wait for room looks whether the stream is to end."""


class Reading:
    """Hands the frames of a stream to its inbox, in the thread that calls `run`.

    Every source numbers its epochs and frames from 0. Those of a later one go on where the one before it ended.

    Args:
        state: of the stream.
        decode: how its video is decoded.
        hardware: the GPU that may do it.
    """

    def __init__(self, state: StreamState, decode: DecodeConfig, hardware: Hardware) -> None:
        self._state = state
        self._decode = decode
        self._hardware = hardware
        self._epoch = 0  # of the next source's first frame
        self._seq = 0

    def run(self) -> None:
        """Read until the source ends or the stream is stopped. A source that fails ends its own stream and no other."""
        state = self._state
        try:
            while state.opens():
                self._read()
        finally:
            state.reading = False
            state.inbox.close()  # last: the graph may end with it, and must know by then that nothing is read

    def _read(self) -> None:
        state = self._state
        state.error = None
        try:
            with open_source(state.config, self._decode, state.lose, self._hardware) as source:
                if state.opened(source):
                    self._pump(source)
            if not state.taken:
                state.error = state.trouble
        except SourceError as error:
            state.error = str(error)
            log.error("%s", error)

    def _pump(self, source: Source) -> None:
        state, epoch, seq = self._state, self._epoch, self._seq
        said: StreamInfo | None = None
        for frame in source:
            if said is None:
                state.lose(None)
            if source.info is not said:
                said = source.info
                state.info = replace(said, epoch=epoch + said.epoch)
            numbered = replace(frame, epoch=epoch + frame.epoch, seq=seq + frame.seq)
            if state.stopping.is_set():
                return
            while not state.inbox.put(numbered, TICK):
                if not state.wanted:
                    return
            state.taken += 1
            self._epoch, self._seq = numbered.epoch + 1, numbered.seq + 1
