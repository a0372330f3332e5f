"""Log lines: for a person, or one JSON object each for a program."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from rich.console import Console
from rich.logging import RichHandler

OURS = ("stream", "models", "peoplestream")
"""The loggers of this project; those of others speak from WARNING on."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (ISO 8601, UTC), `level`, `logger`, `message`, and `error` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logging(*, debug: bool, quiet: bool, as_json: bool) -> None:
    """Write log lines to stderr, from the level on that is asked for."""
    level = logging.DEBUG if debug else logging.ERROR if quiet else logging.INFO
    handler: logging.Handler = RichHandler(
        console=Console(stderr=True), show_path=False, show_time=debug, rich_tracebacks=False
    )
    if as_json:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(message)s", handlers=[handler])
    for ours in OURS:
        logging.getLogger(ours).setLevel(level)
