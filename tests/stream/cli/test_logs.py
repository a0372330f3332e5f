"""Log lines that programs read."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

from stream.cli.logs import JsonFormatter

SCRIPT = """
import logging
from stream.cli.logs import set_up_logging
set_up_logging(debug=False, quiet={quiet}, as_json=True)
logging.getLogger("stream.graph").info("%s: added", "lobby [1]")
logging.getLogger("av").info("of others")
logging.getLogger("stream.graph").error("two\\nlines")
"""


def written(quiet: bool) -> list[dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(quiet=quiet)], capture_output=True, text=True, check=True, timeout=60
    )
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_is_no_json_or_two_of_them() -> None:
    lines = written(quiet=False)
    assert [(line["level"], line["logger"], line["message"]) for line in lines] == [
        ("info", "stream.graph", "lobby [1]: added"),
        ("error", "stream.graph", "two\nlines"),
    ]
    assert lines[0]["time"].endswith("+00:00") and lines[0]["thread"] == "MainThread"


def test_quiet_is_not() -> None:
    assert [line["level"] for line in written(quiet=True)] == ["error"]


def test_a_traceback_breaks_the_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.LogRecord("stream", logging.ERROR, "", 1, "failed", (), sys.exc_info())
    line = JsonFormatter().format(record)
    assert "\n" not in line and "ValueError: broken" in json.loads(line)["error"]
