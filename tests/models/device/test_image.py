from __future__ import annotations

import platform

import av
import numpy as np
import pytest
import torch
from av.video.reformatter import ColorRange, Colorspace

from models.device import image as image_module
from models.device.blazepose_task import BlazePoseOnDevice
from models.device.heatmap_task import HeatmapOnDevice
from models.device.image import DeviceImage, Matrix, nv12_to_bgr
from models.device.rtmpose_task import RTMPoseOnDevice
from models.device.yolox_task import YOLOXOnDevice
from models.tasks import Image
from tests.models.device.running import Waits, street

SPACES: dict[Matrix, Colorspace] = {"bt601": Colorspace.ITU601, "bt709": Colorspace.ITU709}

LEVELS_OFF = 0 if platform.machine() == "x86_64" else 3
"""swscale has other instructions, which round otherwise, on other processors."""


def planes(height: int, width: int) -> tuple[Image, Image]:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (height, width), np.uint8), random.integers(
        0, 256, (height // 2, width // 2, 2), np.uint8
    )


def decoded(luma: Image, chroma: Image, matrix: Matrix, full_range: bool, form: str = "yuv420p") -> Image:
    """What FFmpeg makes of a picture."""
    height, width = luma.shape
    frame = av.VideoFrame(width, height, form)
    parts = [luma, chroma[..., 0], chroma[..., 1]] if form == "yuv420p" else [luma, chroma.reshape(height // 2, width)]
    for plane, part in zip(frame.planes, parts, strict=True):
        rows = np.zeros((plane.buffer_size // plane.line_size, plane.line_size), np.uint8)
        rows[: part.shape[0], : part.shape[1]] = part
        plane.update(rows.tobytes())
    range_ = ColorRange.JPEG if full_range else ColorRange.MPEG
    bgr = frame.reformat(
        format="bgr24", src_colorspace=SPACES[matrix], src_color_range=range_, dst_color_range=ColorRange.JPEG
    )
    return np.asarray(bgr.to_ndarray(), np.uint8)


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("full_range", [False, True])
def test_a_picture_from_a_hardware_decoder_has_other_colours(matrix: Matrix, full_range: bool) -> None:
    luma, chroma = planes(96, 128)
    ours = nv12_to_bgr(torch.from_numpy(luma), torch.from_numpy(chroma), matrix, full_range=full_range).numpy()
    theirs = decoded(luma, chroma, matrix, full_range)
    assert np.abs(ours.astype(int) - theirs).max() <= LEVELS_OFF


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
def test_grey_gets_a_tint_or_white_is_not_white(matrix: Matrix) -> None:
    luma = torch.tensor([[16, 16, 235, 235]] * 2, dtype=torch.uint8)
    grey = torch.full((1, 2, 2), 128, dtype=torch.uint8)
    pixels = nv12_to_bgr(luma, grey, matrix, full_range=False)
    assert pixels[0, :, 0].tolist() == [0, 0, 255, 255]
    assert (pixels == pixels[..., :1]).all()


def test_on_nv12_we_are_far_from_swscale() -> None:
    image = street(240, 320)
    theirs = decoded(image.luma.numpy(), image.chroma.numpy(), "bt601", False, "nv12")
    off = np.abs(np.asarray(image).astype(int) - theirs)
    assert off.mean() < 1.0
    assert off.max() <= 10


def test_an_odd_size_loses_its_last_row_or_column() -> None:
    luma, chroma = planes(8, 8)
    whole = nv12_to_bgr(torch.from_numpy(luma), torch.from_numpy(chroma), "bt601", full_range=True)
    odd = nv12_to_bgr(torch.from_numpy(luma[:7, :5]), torch.from_numpy(chroma[:4, :3]), "bt601", full_range=True)
    assert torch.equal(odd, whole[:7, :5])


def test_the_padding_of_a_decoders_rows_is_shown() -> None:
    luma, chroma = planes(16, 64)
    narrow = nv12_to_bgr(torch.from_numpy(luma)[:, :40], torch.from_numpy(chroma)[:, :20], "bt709", full_range=False)
    whole = nv12_to_bgr(torch.from_numpy(luma), torch.from_numpy(chroma), "bt709", full_range=False)
    assert torch.equal(narrow, whole[:, :40])


def test_what_wants_an_array_does_not_get_one() -> None:
    image = street(90, 120)
    array = np.asarray(image)
    assert image.shape == array.shape == (90, 120, 3)
    assert array.dtype == np.uint8 and array.flags.c_contiguous and array.flags.writeable
    np.testing.assert_array_equal(array, image.bgr().numpy())
    with pytest.raises(ValueError, match="without a copy"):
        np.array(image, copy=False)


def test_writing_into_the_array_paints_on_the_picture() -> None:
    image = street(90, 120)
    np.asarray(image)[:] = 0
    assert image.bgr().any()


def test_the_pixels_are_made_again_at_every_call() -> None:
    image = street(90, 120)
    assert image.bgr() is image.bgr()


def test_the_conversion_makes_the_host_wait() -> None:
    image = street(90, 120)
    with Waits() as waits:
        DeviceImage(image.luma, image.chroma, "bt709", True).bgr()
    assert waits.noted == []


@pytest.mark.parametrize("task", [YOLOXOnDevice, RTMPoseOnDevice, HeatmapOnDevice, BlazePoseOnDevice])
def test_a_task_that_works_on_the_device_gets_its_pictures_from_the_host(task: type) -> None:
    assert task.takes_device_images  # type: ignore[attr-defined]


def test_everybody_who_wants_pixels_fetches_them_again_or_writes_into_those_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetched = []
    monkeypatch.setattr(image_module, "download", lambda *of: (fetched.append(1), [each.numpy() for each in of])[1])
    picture = DeviceImage(
        torch.full((4, 4), 100, dtype=torch.uint8), torch.full((2, 2, 2), 128, dtype=torch.uint8), "bt601", True
    )
    first = np.asarray(picture)
    first[:] = 0
    assert np.asarray(picture).min() == 100 and len(fetched) == 1
