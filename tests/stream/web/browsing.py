"""What a browser shows of the live page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.sinks.palette import colour_of

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

NOTHING = (-1, -1)
"""No frame yet."""


def tiles(browser: Chrome) -> dict[str, str]:
    """Id -> state, as the page shows them."""
    script = "return [...document.querySelectorAll('article')].map(tile => [tile.dataset.id, tile.dataset.state])"
    return dict(browser.execute_script(script))


def text(browser: Chrome, stream_id: str, part: str = "") -> str:
    """What a tile says, or one part of it."""
    return browser.find_element("css selector", f"article[data-id={stream_id}] {part}").text


def frame(browser: Chrome, stream_id: str) -> tuple[int, int]:
    """The epoch and the number of the frame that a tile shows; `NOTHING` before the first."""
    script = "return document.querySelector(`article[data-id='${arguments[0]}'] canvas`).dataset.frame"
    shown = browser.execute_script(script, stream_id)
    if not shown:
        return NOTHING
    epoch, _, seq = shown.partition(".")
    return int(epoch), int(seq)


def picture(browser: Chrome, stream_id: str) -> np.ndarray:
    """The pixels that a tile shows: height, width, RGB."""
    script = """
        const canvas = document.querySelector(`article[data-id="${arguments[0]}"] canvas`);
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return [canvas.width, canvas.height, [...pixels.data]];
    """
    width, height, data = browser.execute_script(script, stream_id)
    return np.array(data, np.uint8).reshape(height, width, 4)[:, :, :3]


def plate(shown: np.ndarray, person: int) -> float:
    """How much of the place above the box that the walker of the tests finds has the colour of a person's id, 0..1."""
    height, width, _ = shown.shape
    top, middle = round(0.3 * height), width // 2
    above = shown[top - 20 : top, middle - 20 : middle + 20].astype(int)
    of_its_id = np.abs(above - np.array(colour_of(person))[::-1]).max(axis=2) < 40  # JPEG smears colours
    return float(of_its_id.mean())


def colour(browser: Chrome, stream_id: str) -> str:
    """The colour in which a tile says its state."""
    script = "return getComputedStyle(document.querySelector(`article[data-id='${arguments[0]}'] .state`)).color"
    return str(browser.execute_script(script, stream_id))


def is_red(css: str) -> bool:
    """Whether `rgb(r, g, b)` is red."""
    red, green, blue = map(int, css[len("rgb(") : -1].split(","))
    return red > 200 and max(green, blue) < 128


def errors(browser: Chrome) -> list[str]:
    """What the page complained of since the last question."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
