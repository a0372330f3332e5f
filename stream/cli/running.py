"""A pipeline run from a terminal: signals, the live view, and which exit code its outcome deserves."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

from stream.cli.errors import CommandError, ExitCode
from stream.cli.report import LiveView, show_choices
from stream.config import Config
from stream.pipeline import Pipeline
from stream.sources.opening import open_source
from stream.sources.reader import SourceError
from stream.summary import RunSummary

log = logging.getLogger(__name__)


def run_pipeline(config: Config, duration: float | None, console: Console, *, live: bool) -> RunSummary:
    """Run `config` until it ends, `duration` seconds are over, or a signal comes; on `console` what happens.

    Args:
        config: what to run.
        duration: seconds, or None.
        console: for people; `live` shows the streams while they run.
    """
    _refuse_hopeless(config)
    log.info("loading the networks")
    pipeline = Pipeline(config)
    with pipeline:
        if live:
            show_choices(console, pipeline)
        if pipeline.endpoint:
            console.print(f"publishing at {pipeline.endpoint}", highlight=False)
        if pipeline.url:
            console.print(f"live page at {pipeline.url}", highlight=False, soft_wrap=True)
        if pipeline.control_endpoint:
            console.print(f"taking commands at {pipeline.control_endpoint}", highlight=False)
        with _signals(pipeline.stop), LiveView(pipeline, console, enabled=live) as view:
            return pipeline.run(duration, on_tick=view.refresh)


def check(summary: RunSummary) -> None:
    """Raise `CommandError` where the run deserves another exit code than 0."""
    errors = [stream.error for stream in summary.streams if stream.error]
    if summary.frames == 0 and summary.streams:
        raise CommandError(
            "no stream delivered a frame: " + ("; ".join(errors) or "stopped too soon"), ExitCode.NO_FRAMES
        )
    if errors:
        raise CommandError(f"{len(errors)} of {len(summary.streams)} streams failed: " + "; ".join(errors))
    if summary.failures:
        raise CommandError("not everything was recorded: " + "; ".join(summary.failures))


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """The first SIGINT or SIGTERM calls `stop`; the second leaves at once."""
    asked = False

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        sys.stderr.write("\nstopping: frames under way are being finished (once more to leave at once)\n")
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _refuse_hopeless(config: Config) -> None:
    """Say at once, before networks are loaded, when no stream can be opened; a live one is given its chance later."""
    if config.keeps_running:  # a stream that helps may be added
        return
    errors = []
    for stream in config.streams:
        if stream.is_live:
            return
        try:
            with open_source(stream, config.decode):
                return
        except SourceError as error:
            errors.append(str(error))
    raise CommandError("no stream delivers a frame: " + "; ".join(errors), ExitCode.NO_FRAMES)
