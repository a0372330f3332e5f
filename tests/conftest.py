"""What every test leaves as it was."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator

import pytest

from stream.cli.logs import OURS


def pytest_configure() -> None:
    """Whoever is started in the background, as tests are by some scripts, inherits that Ctrl-C is ignored.

    So would the commands that are sent one here.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _levels_of_our_loggers() -> Iterator[None]:
    """A command that a test runs sets them for the whole process, and so for what the next test wants to read."""
    loggers = [logging.getLogger(name) for name in OURS]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
