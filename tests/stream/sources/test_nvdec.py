"""Decoding on a GPU: that it is never taken for granted, and that a stream goes on without it.

There is none here, so every absence is the real one; pictures that FFmpeg makes on the processor stand in for those on
a GPU, as they come through the same DLPack.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av import Codec
from av.codec.hwaccel import HWAccel

from models.backends import nvidia
from stream.config import Config, DecodeConfig, StreamConfig
from stream.perception import Perception
from stream.pipeline import Pipeline
from stream.settings import load_config
from stream.sources import nvdec
from stream.sources.nvdec import (
    Decoding,
    Hardware,
    NotOnDeviceError,
    Session,
    accelerator,
    device_image,
    lacking,
    may_be_of_gpu,
)
from stream.sources.opening import open_source
from stream.sources.reader import SourceError
from stream.sources.video import VideoOptions, VideoReader
from stream.types import Image
from tests.stream.graphs import Walker, assembly
from tests.stream.sources.videos import (
    BT601,
    BT709,
    FULL,
    LIMITED,
    UNSPECIFIED,
    corners,
    noise,
    shades,
    write_video,
)

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def promised(**options: object) -> Hardware:
    """A GPU that is said to be there, whatever the truth."""
    return Hardware(DecodeConfig.model_validate({"hardware": "cuda", **options}), lambda: None)


def absent(hardware: str) -> Hardware:
    return Hardware(DecodeConfig.model_validate({"hardware": hardware}), lambda: "it has gone")


def stream(source: Path | str, **options: object) -> StreamConfig:
    return StreamConfig.model_validate({"id": "lobby", "source": str(source), **options})


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "a.mp4"
    write_video(path, shades(12))
    return path


def frame(image: Image, pix_fmt: str = "nv12", tags: tuple[int, int] = (UNSPECIFIED, LIMITED)) -> av.VideoFrame:
    """`image` as FFmpeg would decode it."""
    made = av.VideoFrame.from_ndarray(image, "bgr24").reformat(
        format=pix_fmt, dst_colorspace=tags[0] if tags[0] != UNSPECIFIED else None, dst_color_range=tags[1]
    )
    made.colorspace, made.color_range = tags
    return made


def interleaved(path: Path) -> av.VideoFrame:
    """The first picture of a video as NVDEC would give it: the same values, chroma in one plane."""
    with av.open(str(path)) as container:
        decoded = next(container.decode(video=0))
    made = decoded.reformat(format="nv12")
    made.colorspace, made.color_range = decoded.colorspace, decoded.color_range
    luma = [np.from_dlpack(picture.planes[0]) for picture in (made, decoded)]
    assert (luma[0] == luma[1]).all(), "this is not interleaved, but converted"
    return made


@without_gpu
def test_a_missing_driver_is_not_named() -> None:
    assert lacking() == "this machine has no NVIDIA driver"


@without_gpu
def test_a_driver_that_ffmpeg_cannot_reach_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real exception of a machine without a driver, of one that is told it has one."""
    monkeypatch.setattr(nvidia, "has_driver", lambda: True)
    assert lacking() == "FFmpeg cannot reach the NVIDIA driver (PermissionError: Operation not permitted)"


def test_a_pyav_without_nvdec_is_taken_for_a_missing_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real exception: no build of FFmpeg decodes on a device of this kind what it is asked for here."""
    monkeypatch.setattr(nvidia, "has_driver", lambda: True)
    monkeypatch.setattr(nvdec, "accelerator", lambda: HWAccel("cuda", is_hw_owned=True))
    monkeypatch.setattr(nvdec, "Codec", lambda _name, mode: Codec("rawvideo", mode))
    assert lacking() == "the FFmpeg in this PyAV was built without NVDEC; install a PyAV that has it"


def test_a_machine_without_a_gpu_waits_for_torch_to_be_told_so() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU, which torch has to be asked about")
    code = "import sys; from stream.sources.nvdec import lacking; assert lacking(); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@without_gpu
def test_a_gpu_that_cannot_be_opened_ends_the_stream(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The real exception of a machine without a driver, of a decoder that believed in one."""
    with pytest.raises(PermissionError):
        av.open(str(clip), hwaccel=Session(hardware=promised()).accelerator)
    hardware = promised(sessions=1)
    source = open_source(stream(clip), DecodeConfig(), hardware=hardware)
    with source:
        images = [frame.image for frame in source]
    assert len(images) == 12 and all(isinstance(image, np.ndarray) for image in images)
    assert (source.decoding.decoder, dict(source.decoding.fallbacks)) == ("software", {"open": 1})
    assert "cannot be opened there (PermissionError)" in source.decoding.reason
    assert [record.levelno for record in caplog.records if "not on the GPU" in record.message] == [logging.WARNING]
    assert hardware.take() is None, "its session was not given back"


@pytest.mark.parametrize(("wanted", "fallbacks"), [("cuda", {"no gpu": 1}), ("auto", {}), ("none", {})])
def test_a_fallback_is_counted_where_none_was_or_not_where_one_was(
    clip: Path, wanted: str, fallbacks: dict[str, int]
) -> None:
    with open_source(stream(clip), DecodeConfig(), hardware=absent(wanted)) as source:
        assert next(iter(source)).image.shape == (48, 64, 3)
    assert dict(source.decoding.fallbacks) == fallbacks
    expected = "decode.hardware is none" if wanted == "none" else "it has gone"
    assert (source.decoding.decoder, source.decoding.reason) == ("software", expected)


def test_ffmpeg_refuses_to_share_the_context_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """It wants CU_CTX_SCHED_BLOCKING_SYNC (4), and torch makes its context without."""
    called: list[tuple[str, object]] = []

    class Driver:
        def cuInit(self, flags: int) -> int:  # noqa: N802
            return 0

        def cuDeviceGet(self, device: object, number: int) -> int:  # noqa: N802
            called.append(("device", number))
            return 0

        def cuDevicePrimaryCtxSetFlags_v2(self, device: ctypes.c_int, flags: int) -> int:  # noqa: N802
            called.append(("flags", flags))
            return 0

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    accelerator()
    assert called == [("device", 0), ("flags", 4)]


def test_a_driver_older_than_cuda_11_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    accelerator()


@pytest.mark.parametrize(
    ("error", "of_gpu"),
    [
        (PermissionError(1, "Operation not permitted"), True),
        (OSError(errno.ENOTSUP, "Operation not supported"), True),
        (MemoryError(), True),
        (FileNotFoundError(2, "No such file or directory"), False),
        (TimeoutError(), False),
        (av.error.HTTPUnauthorizedError(1, "Server returned 401 Unauthorized"), False),
    ],
)
def test_a_medium_that_fails_is_opened_twice(error: Exception, of_gpu: bool) -> None:
    assert may_be_of_gpu(error) == of_gpu


def test_a_machine_is_asked_for_its_gpu_at_every_connection() -> None:
    asked = []
    hardware = Hardware(DecodeConfig(), lambda: str(asked.append(1)))
    assert hardware.absence == hardware.absence and asked == [1]


def test_more_sessions_are_opened_than_are_allowed(clip: Path) -> None:
    hardware = promised(sessions=2)
    decodings = [Decoding(stream(clip), hardware) for _ in range(3)]
    sessions = [decoding.begin() for decoding in decodings]
    assert [decoding.decoder for decoding in decodings] == ["nvdec", "nvdec", "software"]
    assert decodings[2].fallbacks == {"sessions": 1} and "all 2 sessions" in decodings[2].reason
    sessions[0].close()
    sessions[0].close()
    assert decodings[2].begin().accelerator is not None, "a session that was given back cannot be had"
    assert decodings[0].begin().accelerator is None, "one was given back twice"


@pytest.mark.parametrize("name", ["nothing.mp4", "text.mp4", "sound.m4a"])
def test_a_file_that_cannot_be_opened_keeps_its_session(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "text.mp4":
        path.write_bytes(b"no video at all" * 100)
    if name == "sound.m4a":
        with av.open(str(path), "w", format="ipod") as container:
            sound = container.add_stream("aac", rate=8000)
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            silence.sample_rate = 8000
            container.mux([*sound.encode(silence), *sound.encode(None)])
    hardware = promised(sessions=1)
    with pytest.raises(SourceError):
        VideoReader(str(path), VideoOptions(), Counter(), Decoding(stream(path), hardware))
    assert hardware.take() is None


def test_a_codec_that_the_gpu_does_not_know_is_waited_for(tmp_path: Path) -> None:
    """FFmpeg offers no NVDEC for FFV1, so it opens on any machine, and nothing of it is accelerated."""
    path = tmp_path / "a.mkv"
    write_video(path, shades(3), codec="ffv1")
    hardware = promised(sessions=1)
    with open_source(stream(path), DecodeConfig(), hardware=hardware) as source:
        assert len(list(source)) == 3
    assert source.decoding.fallbacks == {"codec": 1} and "does not decode ffv1" in source.decoding.reason
    assert hardware.take() is None


def test_a_picture_in_the_memory_of_the_processor_is_taken_for_one_of_the_gpu() -> None:
    decoding = Decoding(stream("a.mp4"), promised(sessions=1))
    session = decoding.begin()
    assert session.image(frame(corners(64, 48))) is None
    assert session.image(frame(corners(64, 48))) is None
    assert decoding.fallbacks == {"picture": 1}, "one stream falls back once"
    assert (decoding.decoder, decoding.reason) == (
        "software",
        "its pictures cannot be used there: they come out in the processor's memory, as nv12",
    )


def test_a_picture_to_be_made_smaller_stays_large(clip: Path) -> None:
    config = stream(clip, max_height=24)
    with open_source(config, DecodeConfig(), hardware=promised()) as source:
        assert next(iter(source)).image.shape == (24, 32, 3)
    assert source.decoding.fallbacks == {"max_height": 1}


@pytest.mark.parametrize(
    "tags", [None, (BT601, LIMITED), (BT601, FULL), (BT709, LIMITED), (BT709, FULL), (UNSPECIFIED, LIMITED)]
)
def test_colours_from_the_gpu_are_others_than_those_of_the_processor(
    tmp_path: Path, tags: tuple[int, int] | None
) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, [corners(64, 48)], tags=tags)
    with open_source(stream(path), DecodeConfig()) as source:
        expected = np.asarray(next(iter(source)).image)
    on_device = device_image(interleaved(path), "cpu")
    assert np.abs(np.asarray(on_device).astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("height", "matrix"), [(718, "bt601"), (720, "bt709")])
def test_untagged_colours_are_read_otherwise_than_by_the_processor(height: int, matrix: str) -> None:
    assert device_image(frame(corners(64, height)), "cpu").matrix == matrix


def test_planes_are_copied_on_their_way() -> None:
    decoded = frame(corners(64, 48))
    on_device = device_image(decoded, "cpu")
    assert on_device.luma.data_ptr() == decoded.planes[0].buffer_ptr
    kept = np.asarray(on_device)
    del decoded
    assert (np.asarray(on_device) == kept).all(), "its memory was given back while it was in use"


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (frame(corners(64, 48), "yuv420p"), "yuv420p of 64 x 48"),
        (frame(corners(64, 48), "p010le"), "p010le of 64 x 48"),
        (frame(corners(63, 48)), "nv12 of 63 x 48"),
    ],
)
def test_a_picture_of_another_kind_is_read_as_nv12(picture: av.VideoFrame, reason: str) -> None:
    with pytest.raises(NotOnDeviceError, match=reason):
        device_image(picture, "cpu")


def test_colours_of_an_unknown_matrix_are_guessed() -> None:
    picture = frame(corners(64, 48))
    picture.colorspace = 9  # BT.2020
    with pytest.raises(NotOnDeviceError, match="matrix 9"):
        device_image(picture, "cpu")


@pytest.mark.parametrize("rotation", [90, 180, -90, -180, 0, 45])
def test_a_turned_picture_lies_on_its_side(tmp_path: Path, rotation: int) -> None:
    path = tmp_path / "turned.mp4"
    write_video(path, [corners(64, 48)], rotation=rotation)
    with open_source(stream(path), DecodeConfig()) as source:
        expected = np.asarray(next(iter(source)).image)
    turned = device_image(interleaved(path), "cpu")
    assert turned.shape == expected.shape
    assert np.abs(np.asarray(turned).astype(int) - expected).max() <= 1


def test_a_picture_is_handed_on_while_it_is_still_being_turned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "turned.mp4"
    write_video(path, [corners(64, 48)], rotation=90)
    turn, done = torch.rot90, []

    def turned(*given: Any) -> torch.Tensor:
        done.append("turned")
        return turn(*given)

    monkeypatch.setattr(torch, "rot90", turned)
    monkeypatch.setattr(nvdec, "_settle", lambda device: done.append(f"waited for {device}"))
    device_image(interleaved(path), "cpu")
    assert done == ["turned", "turned", "waited for cpu"]


def test_isolation_and_cuda_are_accepted_together(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "a.yaml").write_text(
        "decode: {hardware: cuda}\nstreams:\n  - {id: a, source: a.mp4}\n  - id: b\n    source: a.mp4\n"
        "    isolation: process\n"
    )
    sentence = r"a\.yaml:6: streams.1.isolation: isolation: process and decode\.hardware: cuda exclude each other"
    with pytest.raises(Exception, match=sentence):
        load_config(tmp_path / "a.yaml")


def test_a_stream_that_is_added_or_changed_later_may_have_both(clip: Path) -> None:
    with (
        pytest.raises(SourceError, match="exclude each other"),
        open_source(stream(clip, isolation="process"), DecodeConfig(), hardware=absent("cuda")),
    ):
        pass


def test_a_stream_in_a_process_of_its_own_asks_for_a_session(clip: Path) -> None:
    hardware = Hardware(DecodeConfig(hardware="auto"), lambda: None)
    with open_source(stream(clip, isolation="process"), DecodeConfig(), hardware=hardware) as source:
        assert next(iter(source)).image.shape == (48, 64, 3)
    assert source.decoding.reason == "isolation is process, and pictures on a GPU cannot leave theirs"
    assert not source.decoding.fallbacks


@pytest.mark.parametrize(("there", "isolation", "in_thread"), [
    (True, "auto", True), (True, "thread", True), (True, "process", False), (False, "auto", False),
])  # fmt: skip
def test_a_feed_for_the_gpu_is_decoded_where_its_pictures_cannot_leave(
    there: bool, isolation: str, in_thread: bool
) -> None:
    hardware = Hardware(DecodeConfig(), lambda: None if there else "it has gone")
    assert Decoding(stream("rtsp://cam/1", isolation=isolation), hardware).in_thread == in_thread


class OnDevice:
    """A picture that is no array, as one on a GPU; counts how often it is fetched."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self.fetched = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self._image.shape

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Image:
        self.fetched += 1
        return self._image


def test_a_consumer_cannot_do_with_a_picture_on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks on arrays, the look for motion and the overlay, all in one run."""
    pictures: list[OnDevice] = []

    def on_device(_: Session, picture: av.VideoFrame) -> OnDevice:
        pictures.append(OnDevice(picture.to_ndarray(format="bgr24")))
        return pictures[-1]

    monkeypatch.setattr(Session, "image", on_device)
    write_video(tmp_path / "a.mp4", noise(6))
    config = Config.model_validate(
        {
            "streams": (stream(tmp_path / "a.mp4"),),
            "detector": {"every": 2},
            "record": {"dir": str(tmp_path / "out"), "formats": ["mp4"]},
        }
    )
    with Pipeline(config, assembly=assembly()) as pipeline:
        summary = pipeline.run()
    assert summary.frames == 6 and not summary.failures
    assert len(pictures) == 6 and all(picture.fetched for picture in pictures)
    (path,) = summary.recorded
    with av.open(path) as video:
        assert sum(1 for _ in video.decode(video=0)) == 6


def test_a_network_on_the_gpu_gets_its_pictures_by_way_of_the_host() -> None:
    class Looking(Walker):
        def __init__(self, *, on_device: bool) -> None:
            super().__init__(seen.extend)
            self.takes_device_images = on_device

    seen: list[object] = []
    picture = OnDevice(corners(64, 48))
    Perception(Looking(on_device=True)).detect([picture])
    assert seen == [picture] and not picture.fetched
    Perception(Looking(on_device=False)).detect([picture])
    assert isinstance(seen[1], np.ndarray) and picture.fetched == 1


@without_gpu
def test_a_run_that_was_to_use_the_gpu_says_nothing_of_its_absence(clip: Path) -> None:
    config = Config(streams=(stream(clip),), decode=DecodeConfig(hardware="cuda"))
    with Pipeline(config, assembly=assembly()) as pipeline:
        why = pipeline.decodes_in_software
        summary = pipeline.run()
        (report,) = pipeline.reports()
    assert why is not None and "NVIDIA driver" in why
    (told,) = summary.as_json()["streams"]
    assert (told["decoder"], told["decoder_reason"], told["fallbacks"]) == ("software", why, {"no gpu": 1})
    assert (report["decoder"], report["decoder_reason"], report["fallbacks"]) == ("software", why, {"no gpu": 1})


def test_fallbacks_are_forgotten_when_a_stream_is_opened_anew(clip: Path) -> None:
    config = Config(streams=(stream(clip, pace="realtime", loop=True),), decode=DecodeConfig(hardware="cuda"))
    with Pipeline(config, assembly=assembly()) as pipeline:
        changed = []

        def change() -> None:
            state = pipeline.streams["lobby"]
            if state.delivered and not changed:
                changed.append(1)
                pipeline.change_stream("lobby", loop=False)

        pipeline.run(20, on_tick=change)
        fallbacks = pipeline.streams["lobby"].fallbacks
    if torch.cuda.is_available():
        assert fallbacks == {}
    else:
        assert fallbacks["no gpu"] >= 2
