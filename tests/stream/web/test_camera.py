"""The live page in a real browser, while a real camera loses its power and gets it back."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest

from stream.config import StreamConfig
from tests.faults.cameras import SECRET, Camera
from tests.stream.web.browsing import NOTHING, colour, errors, frame, is_red, picture, plate, text, tiles
from tests.stream.web.runs import endless, eventually, served

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

WITHIN = 10.0
"""Seconds in which the page must tell what happened to a camera."""


def goes_on(browser: Chrome, stream_id: str) -> bool:
    """Whether a tile shows ever newer frames and other pictures; waits for three of them."""
    eventually(lambda: frame(browser, stream_id) != NOTHING, WITHIN)
    shown, before = [frame(browser, stream_id)], picture(browser, stream_id)

    def three_came() -> bool:
        if (latest := frame(browser, stream_id)) != shown[-1]:
            shown.append(latest)
        return len(shown) > 3

    eventually(three_came, WITHIN)
    changed = not np.array_equal(before, picture(browser, stream_id))
    return changed and all(newer > older for older, newer in itertools.pairwise(shown))


def tells(browser: Chrome, secret: str) -> bool:
    """Whether the page, or what the server tells it, holds a secret."""
    fetched = browser.execute_async_script(
        "const done = arguments[0];"
        "Promise.all(['api/streams', 'metrics'].map(path => fetch(path).then(reply => reply.text())))"
        ".then(texts => done(texts.join('')), error => done(String(error)));"
    )
    assert "rtsp://" in fetched and "peoplestream_fps" in fetched
    return secret in fetched + browser.page_source


@pytest.mark.slow
@pytest.mark.timeout(120)  # a camera that does not start says nothing
def test_a_camera_without_power_is_not_red_or_is_still_red_when_it_is_back(browser: Chrome) -> None:
    with (
        Camera() as camera,
        served(StreamConfig(id="hurt", source=camera.url), endless("fine", "320x240")) as pipeline,
    ):
        browser.get(str(pipeline.url))
        eventually(lambda: tiles(browser) == {"hurt": "running", "fine": "running"}, WITHIN)
        green = colour(browser, "fine")
        assert colour(browser, "hurt") == green and not is_red(green)
        for stream_id in ("hurt", "fine"):
            assert goes_on(browser, stream_id)
            assert plate(picture(browser, stream_id), 1) > 0.05
        assert not tells(browser, SECRET)

        camera.kill()
        eventually(lambda: tiles(browser)["hurt"] == "reconnecting", WITHIN)
        reason = text(browser, "hurt", ".why")
        assert "the other side" in reason or "nobody answers" in reason
        assert is_red(colour(browser, "hurt"))
        assert goes_on(browser, "fine")
        last = frame(browser, "hurt")
        assert goes_on(browser, "fine")
        assert frame(browser, "hurt") == last
        assert tiles(browser) == {"hurt": "reconnecting", "fine": "running"} and colour(browser, "fine") == green
        assert not tells(browser, SECRET)

        camera.start()
        eventually(lambda: tiles(browser)["hurt"] == "running", WITHIN)
        assert colour(browser, "hurt") == green
        eventually(lambda: frame(browser, "hurt") != last, WITHIN)
        assert goes_on(browser, "hurt")
        assert "reconnected 1\u00d7" in text(browser, "hurt")
        assert tiles(browser) == {"hurt": "running", "fine": "running"}
        assert not tells(browser, SECRET)
        assert not errors(browser)
