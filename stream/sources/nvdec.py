"""Decoding on an NVIDIA GPU (NVDEC), through PyAV, with pictures that stay there.

FFmpeg decodes into memory of the GPU, and its planes are taken over by DLPack, without a copy. Where that is not
possible, a stream is decoded by the processor as ever: the reason is kept, and counted where it comes unexpected.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from av import Codec
from av.codec.hwaccel import HWAccel
from av.error import ExternalError, FFmpegError, UnknownError
from av.video.frame import VideoFrame

if TYPE_CHECKING:  # a decoder in a process of its own needs neither networks nor a configuration
    from models.device.image import DeviceImage
    from stream.config import DecodeConfig, StreamConfig

log = logging.getLogger(__name__)

Fallback: TypeAlias = Literal["no gpu", "sessions", "max_height", "open", "codec", "picture"]
"""Why a stream that was to be decoded on the GPU is not: there is none, or no free session on it; its pictures are to
be made smaller, which the processor does; the GPU refuses it when it is opened; does not know its codec; or decodes it
to pictures that are not on the GPU, or of a kind that is not taken from there."""

_OF_GPU = (PermissionError, ExternalError, UnknownError, MemoryError)
"""What FFmpeg raises where the driver is missing, fails, or has no room; ENOTSUP where it shares no context."""

_MATRICES: dict[int, Literal["bt601", "bt709"]] = {1: "bt709", 5: "bt601", 6: "bt601"}
_UNSPECIFIED, _FULL_RANGE = 2, 2
"""FFmpeg's AVCOL_SPC_* and AVCOL_RANGE_JPEG."""


class NotOnDeviceError(Exception):
    """A picture cannot be taken over from the GPU; one phrase saying why."""


def lacking() -> str | None:
    """Why nothing can be decoded on a GPU by this process, in one phrase; None where it can."""
    from models.backends import nvidia

    if not nvidia.has_driver():
        return "this machine has no NVIDIA driver"
    try:
        accelerator().create(Codec("h264", "r"))
    except NotImplementedError:  # PyAV's, where the codec of its FFmpeg knows no hardware of this kind
        return "the FFmpeg in this PyAV was built without NVDEC; install a PyAV that has it"
    except (FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return f"FFmpeg cannot reach the NVIDIA driver ({type(error).__name__}: {reason})"
    from models.backends.base import BackendUnavailableError

    try:
        nvidia.gpu()
    except BackendUnavailableError as error:
        return str(error)
    return None


def accelerator() -> HWAccel:
    """Settings for `av.open` under which pictures are decoded on the first visible GPU and stay there.

    What the GPU cannot decode comes out in the processor's memory; see `device_image`, which finds that out.
    """
    from models.backends.nvidia import share_context

    share_context()
    return HWAccel("cuda", is_hw_owned=True, allow_software_fallback=True)


def may_be_of_gpu(error: Exception) -> bool:
    """Whether an error of `av.open` with an accelerator may be the GPU's, and not the medium's."""
    return isinstance(error, _OF_GPU) or getattr(error, "errno", None) == errno.ENOTSUP


def device_image(frame: VideoFrame, device: str = "cuda") -> DeviceImage:
    """A decoded picture as it lies on the GPU, upright; its planes are not copied.

    Untagged video is taken for BT.709 from 720 lines upwards and for BT.601 below, as players do.

    Args:
        frame: NV12, in memory of `device`.
        device: where it has to be; "cuda", but in tests.

    Raises:
        NotOnDeviceError: it is elsewhere, or of another kind.
    """
    import torch
    from torch.utils.dlpack import from_dlpack

    from models.device.image import DeviceImage

    kind = (frame.sw_format or frame.format).name
    if device == "cuda" and frame.format.name != "cuda":
        raise NotOnDeviceError(f"they come out in the processor's memory, as {kind}")
    if kind != "nv12" or frame.width % 2 or frame.height % 2:
        raise NotOnDeviceError(f"they are {kind} of {frame.width} x {frame.height}, and not nv12 of even sides")
    # torch.from_dlpack would pass a stream on, which PyAV refuses
    luma, chroma = (from_dlpack(plane.__dlpack__()) for plane in frame.planes)
    if luma.device.type != device:
        raise NotOnDeviceError(f"they are on {luma.device}")
    if frame.rotation and frame.rotation % 90 == 0:
        luma, chroma = (torch.rot90(plane, frame.rotation // 90, (0, 1)).contiguous() for plane in (luma, chroma))
    made = DeviceImage(luma, chroma, _matrix(frame), frame.color_range == _FULL_RANGE)
    _settle(device)
    return made


def _settle(device: str) -> None:
    """Wait until a picture is written: FFmpeg decodes and copies on the default stream, and it is turned there."""
    import torch

    if device == "cuda":
        torch.cuda.default_stream().synchronize()


def _matrix(frame: VideoFrame) -> Literal["bt601", "bt709"]:
    if frame.colorspace == _UNSPECIFIED:
        return "bt709" if frame.height >= 720 else "bt601"
    matrix = _MATRICES.get(frame.colorspace)
    if matrix is None:
        raise NotOnDeviceError(f"their colours follow matrix {frame.colorspace} of FFmpeg, not BT.601 or BT.709")
    return matrix


class Hardware:
    """The GPU as the decoders of one run share it; for any thread.

    Args:
        config: whether it is wanted, and for how many at once.
        lacking: says why there is none.
    """

    def __init__(self, config: DecodeConfig, lacking: Callable[[], str | None] = lacking) -> None:
        self._wanted = config.hardware
        self._sessions = config.sessions
        self._room = threading.BoundedSemaphore(config.sessions)
        self._lacking = lacking
        self._asking = threading.Lock()
        self._asked = False
        self._reason: str | None = None

    @property
    def required(self) -> bool:
        """Whether the configuration insists on it, so that to do without is a fallback."""
        return self._wanted == "cuda"

    @property
    def absence(self) -> str | None:
        """Why nothing is decoded on a GPU, in one phrase; None where it is. Found out once."""
        if self._wanted == "none":
            return "decode.hardware is none"
        with self._asking:
            if not self._asked:
                self._reason, self._asked = self._lacking(), True
            return self._reason

    def take(self) -> str | None:
        """Take a session, which is to be given back; or one phrase why there is none."""
        if self._room.acquire(blocking=False):
            return None
        return f"all {self._sessions} sessions that decode.sessions allows are taken"

    def give_back(self) -> None:
        """Give a session back."""
        self._room.release()


class Decoding:
    """Where the video of one stream is decoded, over all its connections.

    Attributes:
        decoder: "nvdec" or "software"; "" until something has been opened that is video.
        reason: why it is software, in one phrase; "" where it is not.
        fallbacks: how often it came to be software although the GPU was to do it, by the kind of reason.
    """

    def __init__(self, config: StreamConfig, hardware: Hardware | None) -> None:
        self.decoder: Literal["", "nvdec", "software"] = ""
        self.reason = ""
        self.fallbacks: Counter[str] = Counter()
        self._config = config
        self._hardware = hardware

    @property
    def in_thread(self) -> bool:
        """Whether this process has to decode it: pictures on a GPU cannot go from one process to another."""
        return self._hardware is not None and self._config.isolation != "process" and self._hardware.absence is None

    def begin(self) -> Session:
        """A session for one connection: on the GPU, or in software with the reason noted."""
        hardware = self._hardware
        if hardware is None:
            return self._in_software("")
        if hardware.absence is not None:
            return self._in_software(hardware.absence, "no gpu" if hardware.required else None)
        if self._config.isolation == "process":
            return self._in_software("isolation is process, and pictures on a GPU cannot leave theirs")
        if self._config.max_height:
            return self._in_software("max_height is given, and only the processor makes pictures smaller", "max_height")
        full = hardware.take()
        if full is not None:
            return self._in_software(full, "sessions")
        self.decoder, self.reason = "nvdec", ""
        return Session(self, hardware)

    def fall_back(self, kind: Fallback, reason: str) -> None:
        """Decode in software although a session on the GPU had begun."""
        self._in_software(reason, kind)

    def _in_software(self, reason: str, unexpected: Fallback | None = None) -> Session:
        self.decoder, self.reason = "software", reason
        if unexpected is not None:
            self.fallbacks[unexpected] += 1
            level = logging.WARNING if self.fallbacks[unexpected] == 1 else logging.DEBUG
            log.log(level, "%s: decoded in software and not on the GPU: %s", self._config.id, reason)
        return Session()


class Session:
    """One decoder, from the opening of a medium to its end. `Decoding.begin` makes those on the GPU.

    Attributes:
        accelerator: for `av.open`; None in software.
    """

    def __init__(self, decoding: Decoding | None = None, hardware: Hardware | None = None) -> None:
        self._decoding = decoding
        self._hardware = hardware
        self.accelerator: HWAccel | None = None if hardware is None else accelerator()

    def image(self, frame: VideoFrame) -> DeviceImage | None:
        """The picture on the GPU; None where it is to be decoded in software, or has been after all."""
        if self.accelerator is None:
            return None
        try:
            return device_image(frame)
        except NotOnDeviceError as error:  # the decoder, which may still run there, keeps its session
            self._fall_back("picture", f"its pictures cannot be used there: {error}")
            return None

    def refuse(self, kind: Fallback, reason: str) -> None:
        """Note that nothing is decoded on the GPU, and give the session back."""
        self._fall_back(kind, reason)
        self.close()

    def close(self) -> None:
        """Give the session back. A second call does nothing."""
        hardware, self._hardware = self._hardware, None
        if hardware is not None:
            hardware.give_back()

    def _fall_back(self, kind: Fallback, reason: str) -> None:
        self.accelerator = None
        if self._decoding is not None:
            self._decoding.fall_back(kind, reason)
