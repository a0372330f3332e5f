"""Progress bars of downloads, on a pretended terminal."""

import io

from rich.console import Console

from models.weights import Received
from stream.cli.downloads import downloading


def shown(*received: Received, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=200)
    with downloading(console) as progress:
        for step in received:
            progress(step)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_terminal_shows_name_amount_and_source() -> None:
    text = shown(Received("net", "https://example.org/net", 500_000, 1_000_000), terminal=True)
    for fact in ("net", "0.5/1.0 MB", "https://example.org/net"):
        assert fact in text


def test_waiting_for_another_process_is_shown_although_nothing_comes() -> None:
    assert "waiting" in shown(Received("net", "another process fetches it; waiting", 0, None), terminal=True)


def test_a_file_or_pipe_gets_no_bars() -> None:
    assert shown(Received("net", "https://example.org/net", 1, 2), terminal=False).strip() == ""
