"""The live page in a real browser: people move, streams come and go, trouble is red."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

import stream.reading
from stream.config import DecodeConfig, StreamConfig
from stream.sources.opening import open_source
from stream.sources.reader import SourceError
from stream.sources.source import Source
from tests.stream.web.browsing import NOTHING, colour, errors, frame, picture, plate, text, tiles
from tests.stream.web.runs import endless, eventually, served

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


def no_errors(browser: Chrome, *expected: str) -> bool:
    return not [line for line in errors(browser) if not any(known in line for known in expected)]


def test_the_page_does_not_show_moving_people_with_their_ids(browser: Chrome) -> None:
    with served(endless("lobby", "640x480"), endless("yard", "160x120")) as pipeline:
        browser.get(str(pipeline.url))
        eventually(lambda: tiles(browser) == {"lobby": "running", "yard": "running"})
        eventually(lambda: frame(browser, "lobby") != NOTHING)
        shown: set[tuple[int, int]] = set()
        eventually(lambda: shown.add(frame(browser, "lobby")) or len(shown) > 3)
        lobby = picture(browser, "lobby")
        height, width, _ = lobby.shape
        assert 320 <= width <= 640 and height == width * 3 // 4
        assert plate(lobby, 1) > 0.05
        said = text(browser, "lobby")
        assert "640 \u00d7 480" in said and "running" in said
        assert no_errors(browser)


def test_a_stream_cannot_be_added_or_removed_on_the_page(browser: Chrome) -> None:
    with served() as pipeline:
        browser.get(str(pipeline.url))
        source = browser.find_element("name", "source")
        browser.find_element("name", "id").send_keys("new")
        source.send_keys("testpattern://96x64@25\n")
        eventually(lambda: tiles(browser) == {"new": "running"})
        assert pipeline.streams["new"].config.source == "testpattern://96x64@25"
        eventually(lambda: frame(browser, "new") != NOTHING)
        source.send_keys("nowhere.mp4\n")
        said = browser.find_element("id", "said")
        eventually(lambda: "no such file or folder: nowhere.mp4" in said.text)
        click = "document.querySelector(`article .${arguments[0]}`).click()"
        browser.execute_script(click, "pause")
        eventually(lambda: tiles(browser) == {"new": "paused"})
        browser.execute_script(click, "pause")
        eventually(lambda: tiles(browser) == {"new": "running"})
        browser.execute_script(click, "remove")
        eventually(lambda: tiles(browser) == {})
        assert not pipeline.streams
        assert no_errors(browser, "400 (Bad Request)")


class Breaking:
    """Opens sources; those of the stream `camera` are lost and found at the word of the test."""

    def __init__(self) -> None:
        self.lost = threading.Event()

    def __call__(self, config: StreamConfig, decode: DecodeConfig, *rest: Any, **more: Any) -> Source:
        source = open_source(config, decode, *rest, **more)
        if config.id == "camera" and self.lost.is_set():
            source.close()
            raise SourceError("rtsp://***@camera/1: the connection was refused")
        return source


def test_a_stream_that_breaks_is_not_red_or_never_green_again(browser: Chrome, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking = Breaking()
    monkeypatch.setattr(stream.reading, "open_source", breaking)
    with served(endless("camera"), endless("fine")) as pipeline:
        browser.get(str(pipeline.url))
        eventually(lambda: tiles(browser) == {"camera": "running", "fine": "running"})
        green = colour(browser, "fine")
        pipeline.streams["camera"].trouble = "rtsp://***@camera/1: the other side ended it"
        eventually(lambda: tiles(browser)["camera"] == "reconnecting")
        red = colour(browser, "camera")
        assert "the other side ended it" in text(browser, "camera", ".why")
        assert red != green and int(red[4:].partition(",")[0]) > 200
        pipeline.streams["camera"].trouble = None
        eventually(lambda: tiles(browser)["camera"] == "running")
        assert colour(browser, "camera") == green
        breaking.lost.set()
        pipeline.remove_stream("camera")
        pipeline.add_stream(endless("camera"))
        eventually(lambda: tiles(browser).get("camera") == "failed")
        assert colour(browser, "camera") == red
        assert "was refused" in text(browser, "camera", ".why")
        assert tiles(browser)["fine"] == "running"


def test_thirty_streams_are_too_many_for_the_page(browser: Chrome) -> None:
    with served(*(endless(f"camera-{i:02d}") for i in range(30)), fps=4.0) as pipeline:
        browser.get(str(pipeline.url))
        eventually(lambda: list(tiles(browser).values()).count("running") == 30)
        eventually(lambda: frame(browser, "camera-00") != NOTHING)
        (live,) = pipeline._recording._sinks
        eventually(lambda: 0 < len(live._watched) < 30)  # type: ignore[attr-defined]  # those in sight alone
        browser.execute_script("scrollTo(0, document.body.scrollHeight)")
        eventually(lambda: frame(browser, "camera-29") != NOTHING)
        browser.execute_script("document.querySelector('article[data-id=camera-29] .view').click()")
        eventually(lambda: set(live._watched) == {"camera-29"})  # type: ignore[attr-defined]
        assert no_errors(browser)


def test_the_page_of_another_machine_opens_without_its_token(browser: Chrome) -> None:
    with served(endless("lobby"), address="0.0.0.0:0") as pipeline:
        url = str(pipeline.url).replace("0.0.0.0", "127.0.0.1")
        browser.get(url.partition("?")[0])
        assert "a token is needed" in browser.page_source
        browser.get(url)
        eventually(lambda: tiles(browser) == {"lobby": "running"})
        eventually(lambda: frame(browser, "lobby") != NOTHING)
