"""How the cost grows: the crowd that is looked at, and pictures of other sizes."""

from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.curves import SHIFT, middle_frame, repeated, scale
from models.tasks import Boxes


def video(path: Path, frames: int) -> Path:
    """Grey pictures, from black to white."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(frames):
            picture = np.full((48, 64, 3), 255 * number // (frames - 1), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("count", [1, 3, 60])
def test_a_crowd_that_is_larger_than_those_who_were_found(count: int) -> None:
    found = Boxes(np.array([[10, 20, 30, 80], [50, 20, 80, 90]], np.float32), np.array([0.9, 0.8], np.float32))
    crowd = repeated(found, count)
    assert crowd.xyxy.shape == (count, 4)
    assert crowd.xyxy.dtype == np.float32
    original = found.xyxy[np.arange(count) % 2]
    assert np.abs(crowd.xyxy - original).max() <= SHIFT
    assert np.allclose(crowd.xyxy[:, 2:] - crowd.xyxy[:, :2], original[:, 2:] - original[:, :2], atol=1e-4)
    assert len(np.unique(crowd.xyxy, axis=0)) == count


def test_a_crowd_made_of_nobody() -> None:
    with pytest.raises(ValueError, match="nobody is in the picture"):
        repeated(Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32)), 5)


def test_a_clip_of_another_size_is_too_long_or_not_of_that_size(tmp_path: Path) -> None:
    scale(video(tmp_path / "grey.avi", 9), tmp_path / "small.mp4", (32, 24), frames=5)
    with av.open(str(tmp_path / "small.mp4")) as container:
        frames = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert frames == [(32, 24)] * 5


def test_the_frame_in_the_middle_is_another(tmp_path: Path) -> None:
    image = middle_frame(video(tmp_path / "grey.avi", 9))
    assert image.shape == (48, 64, 3)
    assert 110 < image.mean() < 145
