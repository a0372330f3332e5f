"""Tiny videos and images, made where a test needs them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from stream.config import DecodeConfig, StreamConfig
from stream.sources.opening import open_source
from stream.sources.source import Source
from stream.types import Image

BT709, BT601, UNSPECIFIED = 1, 6, 2
LIMITED, FULL = 1, 2


def open_stream(source: Path | str, threads: int = 1, **options: object) -> Source:
    """The source at a path or URI."""
    config = StreamConfig.model_validate({"id": "test", "source": str(source), **options})
    return open_source(config, DecodeConfig(threads=threads))


def corners(width: int, height: int) -> Image:
    """An image that shows every mirroring, turn and shear: BGR blue, green, red and white in its corners."""
    image = np.zeros((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    image[:top, :left] = (200, 40, 40)
    image[:top, left:] = (40, 200, 40)
    image[top:, :left] = (40, 40, 200)
    image[top:, left:] = (220, 220, 220)
    return image


def shades(count: int, width: int = 64, height: int = 48) -> list[Image]:
    """Grey images that can be told apart: the one with index i has the value 20 + 7 i."""
    return [np.full((height, width, 3), 20 + 7 * i, np.uint8) for i in range(count)]


def noise(count: int, width: int = 64, height: int = 48) -> list[Image]:
    """Images that fill a file with bytes worth damaging."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (height, width, 3), np.uint8) for _ in range(count)]


def write_video(
    path: Path,
    images: Sequence[Image],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    fps: int = 25,
    times: Sequence[float] | None = None,
    options: dict[str, str] | None = None,
    tags: tuple[int, int] | None = None,
    rotation: float = 0,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write `images` as a video; `times` in seconds makes its rate variable, `tags` are its colour space and range."""
    height, width = images[0].shape[:2]
    with av.open(path, "w") as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        tick = Fraction(1, 1000) if times else Fraction(1, fps)
        stream.time_base = stream.codec_context.time_base = tick
        if tags:
            stream.codec_context.colorspace, stream.codec_context.color_range = tags
        if rotation:
            stream.set_display_rotation(rotation)
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, "bgr24")
            if tags:
                frame = frame.reformat(format=pix_fmt, dst_colorspace=tags[0], dst_color_range=tags[1])
                frame.colorspace, frame.color_range = tags
            frame.pts, frame.time_base = round(times[i] / tick) if times else i, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_images(folder: Path, images: dict[str, Image]) -> Path:
    """Write images under their names into `folder`."""
    folder.mkdir(exist_ok=True)
    for name, image in images.items():
        assert cv2.imwrite(str(folder / name), image)
    return folder
