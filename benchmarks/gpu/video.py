"""NVDEC: whether its pictures are those of the processor's decoder, on the GPU, and how many come a second."""

from __future__ import annotations

import os
import threading
import time
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet

from benchmarks.gpu.outcome import FailedError, Figures, Setting
from models.backends.pictures import pictures
from stream.config import DecodeConfig, StreamConfig
from stream.sources.nvdec import Hardware, lacking
from stream.sources.opening import open_source
from stream.sources.source import Source

WIDTH, HEIGHT, FPS, FRAMES = 1920, 1080, 30, 120
LAPS = 25
"""How often the clip holds its pictures: a file that is looped makes a new decoder every time."""

SESSIONS = (1, 2, 4, 8, 16, 32, 64)
COMPARED = 30
"""Pictures that are compared with those of the processor."""

FARTHEST = 1
"""Grey levels by which a picture may differ: both decode exactly, and conversion copies that of FFmpeg."""


def nvdec(setting: Setting) -> Figures:
    """Pictures on the GPU, the same as the processor's; then frames a second by sessions, and the processor's."""
    path = clip(setting.folder)
    figures: Figures = {"codec": "h264", "width": WIDTH, "height": HEIGHT, "grey_levels": compare(path)}
    figures["nvdec_fps"] = {str(count): rate(path, count, "cuda") for count in SESSIONS}
    figures["software_fps"] = {str(count): rate(path, count, "none") for count in (1, len(os.sched_getaffinity(0)))}
    if figures["grey_levels"] > FARTHEST:
        raise FailedError(f"pictures differ by {figures['grey_levels']} grey levels from the processor's", figures)
    return figures


def missing() -> str | None:
    """Why NVDEC cannot be tried here."""
    return lacking()


def clip(folder: Path, width: int = WIDTH, height: int = HEIGHT, frames: int = FRAMES, laps: int = LAPS) -> Path:
    """An H.264 file of drawn people who pass by `laps` times, at 30 frames a second; made at the first call."""
    path = folder / f"people-{width}x{height}-{frames}x{laps}.mp4"
    if path.is_file():
        return path
    (still,) = pictures(1, height, width)
    half = path.with_suffix(".half")
    with av.open(str(half), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "23"})
        video.width, video.height, video.pix_fmt, video.codec_context.gop_size = width, height, "yuv420p", FPS
        packets: list[Packet[Any]] = []
        for number in range(frames):
            moved = np.roll(still, 4 * number, axis=1)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(moved), "bgr24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            packets += video.encode(frame)
        packets += video.encode()
        for lap in range(laps):  # encoded once: each lap begins with a key frame
            container.mux([_later(packet, Fraction(lap * frames, FPS)) for packet in packets])
    half.rename(path)
    return path


def _later(packet: Packet[Any], seconds: Fraction) -> Packet[Any]:
    """The same packet so many seconds later."""
    again = Packet(bytes(packet))
    again.stream, again.time_base, again.duration = packet.stream, packet.time_base, packet.duration
    again.is_keyframe = packet.is_keyframe
    shift = int(seconds / packet.time_base)
    again.pts, again.dts = (packet.pts or 0) + shift, (packet.dts or 0) + shift
    return again


def compare(path: Path) -> int:
    """Grey levels by which a picture on the GPU differs from the processor's at most.

    Raises:
        FailedError: a picture is not on the GPU.
    """
    farthest = 0
    with _opened(path, "cuda") as on_gpu, _opened(path, "none") as on_host:
        for there, here in islice(zip(on_gpu, on_host, strict=True), COMPARED):
            _check_on_gpu(on_gpu)
            difference = np.abs(np.asarray(there.image).astype(np.int16) - np.asarray(here.image))
            farthest = max(farthest, int(difference.max()))
    return farthest


def rate(path: Path, sessions: int, hardware: str, lasting: float = 2.5) -> float:
    """Frames a second of so many decoders together, each in a thread of its own, over `lasting` seconds.

    Raises:
        FailedError: one of them was to decode on the GPU and does not.
    """
    counts, errors = [0] * sessions, []
    shared = Hardware(_decode(hardware))
    start, stop = threading.Barrier(sessions + 1), threading.Event()

    def decode(number: int) -> None:
        try:
            with _opened(path, hardware, shared, loop=True) as source:
                frames = iter(source)
                next(frames)
                if hardware == "cuda":
                    _check_on_gpu(source)
                start.wait(60)
                while not stop.is_set():
                    next(frames)
                    counts[number] += 1
        except Exception as error:  # told below, by the thread that asked
            errors.append(error)
            start.abort()

    threads = [threading.Thread(target=decode, args=(number,)) for number in range(sessions)]
    for thread in threads:
        thread.start()
    try:
        start.wait(60)
        began = time.perf_counter()
        stop.wait(lasting)
        took = time.perf_counter() - began
    except threading.BrokenBarrierError:
        took = 0.0
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    if errors or not took:
        raise FailedError(f"{sessions} decoders at once: {next(iter(errors), 'they did not begin in time')}")
    return round(sum(counts) / took, 1)


def _opened(path: Path, hardware: str, shared: Hardware | None = None, *, loop: bool = False) -> Source:
    config = StreamConfig(id="clip", source=str(path), loop=loop, isolation="thread")
    decode = _decode(hardware)
    return open_source(config, decode, hardware=shared or Hardware(decode))


def _decode(hardware: str) -> DecodeConfig:
    return DecodeConfig.model_validate({"hardware": hardware})


def _check_on_gpu(source: Source) -> None:
    if source.decoding.decoder != "nvdec":
        raise FailedError(f"decoded on the processor: {source.decoding.reason}")
