"""configs/sources: every example is valid, and runs with nothing but its address replaced."""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import av
import pytest
from typer.testing import CliRunner

from stream.cli.app import app
from stream.config import Config
from stream.pipeline import Pipeline
from stream.settings import load_config
from stream.sources import process
from stream.types import FrameResult
from tests.faults.cameras import Camera
from tests.stream.graphs import assembly
from tests.stream.sources.test_kinds import Files, Mjpeg, serving, tls_in_front_of
from tests.stream.sources.videos import noise, shades, write_images, write_video

FOLDER = Path(__file__).parents[2] / "configs" / "sources"
EXAMPLES = sorted(FOLDER.glob("*.yaml"))

Server = Callable[[Path, Camera], AbstractContextManager[str]]


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    with Camera() as camera:
        yield camera


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the examples speak of."""
    (tmp_path / "clips").mkdir()
    write_video(tmp_path / "clips" / "lobby.mp4", noise(12, 320, 240))
    write_images(tmp_path / "walk", {f"img{i}.png": image for i, image in enumerate(shades(5))})
    shutil.copy(tmp_path / "walk" / "img0.png", tmp_path / "group.png")
    return tmp_path


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_refused(folder: Path, example: Path) -> None:
    shutil.copy(example, folder)
    checked = CliRunner().invoke(app, ["config", "check", str(folder / example.name)])
    assert checked.exit_code == 0, checked.output


def test_an_example_is_not_in_the_table_or_not_there() -> None:
    named = set(re.findall(r"`([\w-]+\.yaml)`", (FOLDER / "README.md").read_text()))
    assert named == {example.name for example in EXAMPLES}
    assert {example.name for example in EXAMPLES} == {f"{name}.yaml" for name in (*FEEDS, *FILES, "options", "v4l2")}


@contextmanager
def rtsp(_: Path, camera: Camera) -> Iterator[str]:
    yield camera.url


@contextmanager
def rtsps(folder: Path, camera: Camera) -> Iterator[str]:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program to make a certificate")
    with tls_in_front_of(camera.port, folder) as port:
        yield f"rtsps://127.0.0.1:{port}/cam"


@contextmanager
def mpegts(_: Path, __: Camera) -> Iterator[str]:
    with Camera("udp") as sender:
        yield sender.url


@contextmanager
def mjpeg(_: Path, __: Camera) -> Iterator[str]:
    with serving(Mjpeg) as url:
        yield f"{url}/video.mjpg"


@contextmanager
def film(folder: Path, _: Camera) -> Iterator[str]:
    write_video(folder / "trailer.mp4", noise(25))  # so small that it is read at once: this server cannot seek
    with serving(partial(Files, directory=str(folder))) as url:
        yield f"{url}/trailer.mp4"


@contextmanager
def hls(folder: Path, _: Camera) -> Iterator[str]:
    playlist = folder / "live.m3u8"
    with av.open(str(playlist), "w", format="hls", options={"hls_time": "1"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.gop_size = 64, 48, "yuv420p", 25
        for image in noise(75):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        container.mux(stream.encode())
    playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST\n", ""))
    with serving(partial(Files, directory=str(folder))) as url:
        yield f"{url}/live.m3u8"


FEEDS: dict[str, Server] = {
    "rtsp": rtsp,
    "rtsp-tcp": rtsp,
    "rtsp-udp": rtsp,
    "thread": rtsp,
    "rtsps": rtsps,
    "http-mjpeg": mjpeg,
    "http-film": film,
    "hls": hls,
    "mpegts-udp": mpegts,
}
"""What stands in for the feed of an example."""

FILES = {"file": 12, "file-realtime": 12, "file-looped": 20, "image": 1, "folder": 5, "glob": 5, "testpattern": 100}
"""How many frames the file of an example has, or as many as are waited for."""


def run(config: Config, frames: int, within: float = 20.0) -> list[FrameResult]:
    """The results of every stream until one has so many."""
    results: list[FrameResult] = []
    with Pipeline(config, assembly=assembly(), on_result=results.append) as pipeline:

        def stop_when_enough() -> None:
            if max(Counter(result.stream for result in results).values(), default=0) >= frames:
                pipeline.stop()

        pipeline.run(within, on_tick=stop_when_enough)
    return results


@pytest.mark.skipif(not process.supported, reason="decoders in processes of their own need Linux")
@pytest.mark.parametrize("name", FEEDS)
def test_the_example_of_a_feed_delivers_nothing(folder: Path, camera: Camera, name: str) -> None:
    config = load_config(FOLDER / f"{name}.yaml")
    with FEEDS[name](folder, camera) as address:
        (stream,) = config.streams
        replaced = stream.model_copy(update={"source": address})
        assert replaced.is_live and stream.source.partition("://")[0] == address.partition("://")[0]
        results = run(config.model_copy(update={"streams": (replaced,)}), 10)
    assert len(results) >= 10 and {result.stream for result in results} == {stream.id}


@pytest.mark.parametrize("name", FILES)
def test_the_example_of_a_file_delivers_nothing_or_not_all(folder: Path, name: str) -> None:
    shutil.copy(FOLDER / f"{name}.yaml", folder)
    config = load_config(folder / f"{name}.yaml")
    results = run(config, FILES[name])
    if config.streams[0].loop:
        assert len(results) >= FILES[name] and {result.epoch for result in results} >= {0, 1}
    elif config.streams[0].drops:  # how many, the speed of this machine decides
        assert 0 < len(results) <= FILES[name]
    else:
        assert len(results) == FILES[name]


def test_an_option_of_the_examples_has_no_effect(folder: Path) -> None:
    shutil.copy(FOLDER / "options.yaml", folder)
    config = load_config(folder / "options.yaml")
    began = time.monotonic()
    results = run(config, 15)
    took = time.monotonic() - began
    sizes = {(result.stream, result.width, result.height) for result in results}
    assert sizes == {("pattern", 1280, 720), ("small", 320, 240)}
    assert sum(result.stream == "pattern" for result in results) <= 10 * took + 2
    assert all(len(result.people) == 1 for result in results), "who stands in the middle is in the region"


def test_a_device_that_is_not_there_ends_the_run_of_the_example() -> None:
    config = load_config(FOLDER / "v4l2.yaml", ["streams.0.source=v4l2:///dev/video99"])
    with Pipeline(config, assembly=assembly()) as pipeline:
        state = pipeline.streams["desk"]
        pipeline.run(20, on_tick=lambda: pipeline.stop() if state.disconnections else None)
    assert state.disconnections == {"not found": 1}
