"""Which networks get their pictures on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from models.backends import Precision, Source
from models.build import DETECTORS, MASKS, POSES, builder_of
from models.device.blazepose_task import BlazePoseOnDevice
from models.device.heatmap_task import HeatmapOnDevice
from models.device.rtmpose_task import RTMPoseOnDevice
from models.device.yolox_task import YOLOXOnDevice
from models.serving import DetectorOptions, PoseOptions, Ready
from tests.models.compiling import EagerCompile, weights_of
from tests.models.device.running import OnDevice

TASKS: list[tuple[str, str, tuple[object, ...], type]] = [
    (DETECTORS["yolox"], "yolox-nano-humanart", (DetectorOptions((64, 96), 0.2, 0.5, 7),), YOLOXOnDevice),
    (POSES["rtmpose"], "rtmpose-t-coco", (PoseOptions(flip_test=True),), RTMPoseOnDevice),
    (POSES["simplebaseline"], "simplebaseline-r50", (PoseOptions(),), HeatmapOnDevice),
    (POSES["hourglass"], "hourglass-mpii-1", (PoseOptions(),), HeatmapOnDevice),
    (MASKS["blazepose"], "blazepose-full", (), BlazePoseOnDevice),
]


class OnDeviceCompile:
    """A `models.serving.Compile` whose networks run on a device."""

    def __call__(
        self,
        make: Callable[[], Source],
        *,
        size: tuple[int, ...] = (),
        lowest: Precision = "float32",
        part: str = "",
    ) -> Ready:
        source = make()
        return Ready(OnDevice(source.network), source.inputs)


@pytest.mark.parametrize(("function", "name", "options", "kind"), TASKS)
def test_a_network_on_a_device_gets_its_pictures_through_the_host(
    function: str, name: str, options: tuple[object, ...], kind: type
) -> None:
    build: Callable[..., Any] = builder_of(function)
    assert isinstance(build(weights_of(name), OnDeviceCompile(), *options), kind)


@pytest.mark.parametrize(("function", "name", "options", "kind"), TASKS)
def test_a_network_on_the_processor_is_taken_for_one_on_a_device(
    function: str, name: str, options: tuple[object, ...], kind: type
) -> None:
    build: Callable[..., Any] = builder_of(function)
    assert not isinstance(build(weights_of(name), EagerCompile(), *options), kind)


def test_the_options_of_a_configuration_are_forgotten_on_a_device() -> None:
    function, name, options, _ = TASKS[0]
    detector: YOLOXOnDevice = builder_of(function)(weights_of(name), OnDeviceCompile(), *options)
    assert (detector.size, detector.score, detector.nms_iou, detector.max_people) == ((64, 96), 0.2, 0.5, 7)
    function, name, options, _ = TASKS[1]
    estimator: RTMPoseOnDevice = builder_of(function)(weights_of(name), OnDeviceCompile(), *options)
    assert (estimator.size, estimator.flip_test) == ((256, 192), True)
