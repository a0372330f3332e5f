"""One clear sentence and an exit code for everything that can go wrong."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command's exit status tells a script."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    NO_FRAMES = 3
    NO_WEIGHTS = 4
    INTERRUPTED = 130


class CommandError(Exception):
    """Ends the command with this sentence and exit code."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


def exit_code(error: BaseException) -> ExitCode:
    """The exit code for `error`; its class decides."""
    from models.errors import LabelsError, UnknownModelError, WeightsError
    from stream.config import ConfigError
    from stream.errors import StreamOptionsError
    from stream.sources.reader import SourceError
    from stream.wire import SecurityError

    if isinstance(error, CommandError):
        return error.code
    by_class: list[tuple[type[BaseException], ExitCode]] = [
        (ConfigError, ExitCode.USAGE),
        (StreamOptionsError, ExitCode.USAGE),
        (UnknownModelError, ExitCode.USAGE),
        (LabelsError, ExitCode.USAGE),
        (SecurityError, ExitCode.USAGE),
        (WeightsError, ExitCode.NO_WEIGHTS),
        (SourceError, ExitCode.NO_FRAMES),
        (KeyboardInterrupt, ExitCode.INTERRUPTED),
    ]
    return next((code for kind, code in by_class if isinstance(error, kind)), ExitCode.FAILED)
