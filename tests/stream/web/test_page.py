"""The live page in a real browser: people move, streams come and go, trouble is red."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import stream.graph
from stream.config import DecodeConfig, StreamConfig
from stream.sinks.palette import colour_of
from stream.sources import Source, SourceError, open_source
from tests.stream.web.runs import endless, eventually, served

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("needs a browser: apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900", "--no-proxy-server"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    chrome.set_page_load_timeout(30)
    yield chrome
    chrome.quit()


@pytest.fixture(autouse=True)
def nothing_is_open(browser: Chrome) -> Iterator[None]:
    """A page of the test before would ask a server that is gone, and complain."""
    browser.get("about:blank")
    browser.get_log("browser")
    yield
    browser.get("about:blank")


def tiles(browser: Chrome) -> dict[str, str]:
    """Id -> state, as the page shows them."""
    script = "return [...document.querySelectorAll('article')].map(tile => [tile.dataset.id, tile.dataset.state])"
    return dict(browser.execute_script(script))


def canvas(browser: Chrome, stream_id: str) -> tuple[str | None, np.ndarray]:
    """The number of the frame that a tile shows, and its pixels."""
    script = """
        const canvas = document.querySelector(`article[data-id="${arguments[0]}"] canvas`);
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return [canvas.dataset.frame || null, canvas.width, canvas.height, [...pixels.data]];
    """
    frame, width, height, data = browser.execute_script(script, stream_id)
    return frame, np.array(data, np.uint8).reshape(height, width, 4)[:, :, :3]


def colour(browser: Chrome, stream_id: str) -> str:
    script = "return getComputedStyle(document.querySelector(`article[data-id='${arguments[0]}'] .state`)).color"
    return str(browser.execute_script(script, stream_id))


def no_errors(browser: Chrome, *expected: str) -> bool:
    lines = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    return not [line for line in lines if not any(known in line for known in expected)]


def test_the_page_does_not_show_moving_people_with_their_ids(browser: Chrome) -> None:
    with served(endless("lobby", "640x480"), endless("yard", "160x120")) as pipeline:
        browser.get(str(pipeline.url))
        eventually(lambda: tiles(browser) == {"lobby": "running", "yard": "running"})
        eventually(lambda: canvas(browser, "lobby")[0])
        shown: set[str | None] = set()
        eventually(lambda: shown.add(canvas(browser, "lobby")[0]) or len(shown) > 3)
        _, picture = canvas(browser, "lobby")
        height, width, _ = picture.shape
        assert 320 <= width <= 640 and height == width * 3 // 4
        top, middle = round(0.3 * height), width // 2  # of the box that the walker of the tests finds
        plate = picture[top - 20 : top, middle - 20 : middle + 20].astype(int)
        of_its_id = np.abs(plate - np.array(colour_of(1))[::-1]).max(axis=2) < 40  # JPEG smears colours
        assert of_its_id.sum() > 40
        text = browser.find_element("css selector", "article[data-id=lobby]").text
        assert "640 \u00d7 480" in text and "running" in text
        assert no_errors(browser)


def test_a_stream_cannot_be_added_or_removed_on_the_page(browser: Chrome) -> None:
    with served() as pipeline:
        browser.get(str(pipeline.url))
        source = browser.find_element("name", "source")
        browser.find_element("name", "id").send_keys("new")
        source.send_keys("testpattern://96x64@25\n")
        eventually(lambda: tiles(browser) == {"new": "running"})
        assert pipeline.streams["new"].config.source == "testpattern://96x64@25"
        eventually(lambda: canvas(browser, "new")[0])
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
    monkeypatch.setattr(stream.graph, "open_source", breaking)
    with served(endless("camera"), endless("fine")) as pipeline:
        browser.get(str(pipeline.url))
        eventually(lambda: tiles(browser) == {"camera": "running", "fine": "running"})
        green = colour(browser, "fine")
        pipeline.streams["camera"].trouble = "rtsp://***@camera/1: the other side ended it"
        eventually(lambda: tiles(browser)["camera"] == "reconnecting")
        red = colour(browser, "camera")
        assert "the other side ended it" in browser.find_element("css selector", "article[data-id=camera] .why").text
        assert red != green and int(red[4:].partition(",")[0]) > 200
        pipeline.streams["camera"].trouble = None
        eventually(lambda: tiles(browser)["camera"] == "running")
        assert colour(browser, "camera") == green
        breaking.lost.set()
        pipeline.remove_stream("camera")
        pipeline.add_stream(endless("camera"))
        eventually(lambda: tiles(browser).get("camera") == "failed")
        assert colour(browser, "camera") == red
        assert "was refused" in browser.find_element("css selector", "article[data-id=camera] .why").text
        assert tiles(browser)["fine"] == "running"


def test_thirty_streams_are_too_many_for_the_page(browser: Chrome) -> None:
    with served(*(endless(f"camera-{i:02d}") for i in range(30)), fps=4.0) as pipeline:
        browser.get(str(pipeline.url))
        eventually(lambda: list(tiles(browser).values()).count("running") == 30)
        eventually(lambda: canvas(browser, "camera-00")[0])
        (live,) = pipeline._recording._sinks
        eventually(lambda: 0 < len(live._watched) < 30)  # type: ignore[attr-defined]  # those in sight alone
        browser.execute_script("scrollTo(0, document.body.scrollHeight)")
        eventually(lambda: canvas(browser, "camera-29")[0])
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
        eventually(lambda: canvas(browser, "lobby")[0])
