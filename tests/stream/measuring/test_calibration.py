"""Int8 is kept only if it costs little and pays, and runs take it then; what was refused leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from models.backends import Input
from models.backends.cache import EngineCache, EngineKey, Record
from models.detect.csp_darknet import Scale
from models.detect.yolox import YOLOX
from models.evaluate.coco import CocoPersons, Scores
from stream.assembly import assemble
from stream.cli.errors import ExitCode, exit_code
from stream.cli.models import models_app
from stream.config import Config, DetectorConfig
from stream.measuring import calibration
from stream.measuring.calibration import SAMPLES, CalibrationError, Finding, calibrate
from stream.metrics import Metrics
from stream.settings import load_config

FINDING = Finding({"box": (0.5, 0.48)}, images=3, against="bfloat16", speed=1.5)


def config(weights: Path, size: int = 64) -> Config:
    settings = ["pose.model=null", "masks.model=null", "detector.model=yolox-nano"]
    loaded = load_config(None, [*settings, f"detector.height={size}", f"detector.width={size}", "threads=1"])
    section: DetectorConfig = loaded.detector.model_copy(update={"weights": str(weights)})
    return loaded.model_copy(update={"detector": section})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> CocoPersons:
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    images = [{"id": number, "file_name": f"{number}.png", "height": 48, "width": 64} for number in range(3)]
    for image in images:
        cv2.imwrite(str(folder / str(image["file_name"])), random.integers(0, 256, (48, 64, 3), np.uint8))
    truth = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    (folder / "labels.json").write_text(json.dumps(truth))
    return CocoPersons(folder / "labels.json", folder)


class Shop:
    """In the place of `assemble`: networks that are files which are written, and the AP that will be measured of them.

    Attributes:
        ap: in float32 and in int8. speed: of int8. engines: where they are kept.
    """

    def __init__(self, engines: EngineCache) -> None:
        self.engines = engines
        self.ap = [0.5, 0.495]
        self.speed = 2.0

    def assemble(self, config: Config, _: Metrics, *, engines: EngineCache, wrap: Any, candidates: Any = None) -> Any:
        precision = config.detector.precision
        name, key = f"net-openvino-{precision}", EngineKey({"precision": precision})
        engine = engines.get_or_build(name, key, lambda folder: {"bytes": (folder / "net.bin").write_bytes(b"net")})
        run = wrap("detector", lambda *_: (), ()) if wrap else None
        assert (candidates is not None and candidates("detector") is not None) == (precision == "int8")

        def perception(images: list[Any], _: list[bool]) -> None:
            run(np.stack(images))

        choices = {"detector": SimpleNamespace(precision="bfloat16")}
        return SimpleNamespace(perception=perception, models={"detector": "net"}, choices=choices, engine=engine)

    def kept(self) -> list[str]:
        """What is kept in int8, as its sidecar tells."""
        return [
            str(record.facts["calibrated"])
            for _, record in self.engines.records()
            if isinstance(record, Record) and record.key["precision"] == "int8"
        ]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop(EngineCache(tmp_path / "engines"))
    monkeypatch.setattr(calibration, "assemble", shop.assemble)
    coming = iter(lambda: {"box": Scores(shop.ap.pop(0), 0.0, 0.0)}, None)
    monkeypatch.setattr(calibration, "coco_scores", lambda *_: next(coming))
    monkeypatch.setattr(calibration, "_speed", lambda *_: shop.speed)
    return shop


def test_what_was_found_good_is_not_kept_or_without_its_figures(shop: Shop, pictures: CocoPersons) -> None:
    for loss in (0.005, 0.009):  # the second time it takes the place of the first
        shop.ap = [0.5, 0.5 - loss]
        finding = calibrate(config(Path("net.pth")), "detector", pictures.images, pictures, shop.engines)
        assert finding.loss == pytest.approx(loss)
    (says,) = shop.kept()
    assert "box AP 0.491 instead of 0.500 in float32, on 3 pictures, and 2.00 times as fast as bfloat16" in says


def test_a_network_that_loses_more_than_a_hundredth_of_ap_is_kept(shop: Shop, pictures: CocoPersons) -> None:
    shop.ap = [0.5, 0.48]
    with pytest.raises(CalibrationError, match=r"costs more than 0.01 of AP: box AP 0.480 instead of 0.500 in float32"):
        calibrate(config(Path("net.pth")), "detector", pictures.images, pictures, shop.engines)
    assert not shop.kept()


def test_a_network_that_is_no_faster_is_kept(shop: Shop, pictures: CocoPersons) -> None:
    shop.speed = 0.9
    with pytest.raises(CalibrationError, match="0.90 times as fast as bfloat16"):
        calibrate(config(Path("net.pth")), "detector", pictures.images, pictures, shop.engines)
    assert not shop.kept()


def test_a_network_that_saw_nothing_is_kept(shop: Shop, pictures: CocoPersons) -> None:
    with pytest.raises(CalibrationError, match="saw anything"):
        calibrate(config(Path("net.pth")), "detector", [], pictures, shop.engines)


def test_a_run_does_not_take_what_was_calibrated(
    pictures: CocoPersons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="the extra `cpu` is not installed")
    pytest.importorskip("nncf", reason="the extra `int8` is not installed")
    monkeypatch.setattr(calibration, "_speed", lambda *_: 2.0)  # so small a network gains nothing
    torch.manual_seed(0)
    torch.save({"state_dict": YOLOX(Scale(1 / 3, 1 / 16)).state_dict()}, tmp_path / "net.pth")
    engines = EngineCache(tmp_path / "engines")
    calibrate(config(tmp_path / "net.pth"), "detector", pictures.images[:1], pictures, engines)
    choice = assemble(config(tmp_path / "net.pth"), Metrics(), engines=engines).choices["detector"]
    assert choice.precision == "int8" and "calibrated here" in choice.reason


def test_networks_of_random_weights_are_calibrated_for_nobody(pictures: CocoPersons, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="random weights"):
        calibrate(config(Path("random")), "detector", pictures.images, pictures, EngineCache(tmp_path))


def test_a_loss_of_one_kind_hides_behind_a_gain_of_another() -> None:
    assert Finding({"box": (0.5, 0.6), "keypoints": (0.5, 0.4)}, 3, "bfloat16", 2).loss == pytest.approx(0.1)


def test_what_is_remembered_grows_with_the_pictures_or_changes_under_way() -> None:
    tap = calibration._Tap("pose")
    run = tap("pose", lambda *inputs: inputs, (Input((2,)),))
    assert tap("masks/encoder", (other := lambda: ()), ()) is other  # type: ignore[arg-type, return-value]
    for number in range(3 * SAMPLES):
        batch = np.full((2, 2), number, np.float32)
        run(batch)
        batch[:] = -1
    (samples,) = tap.samples.values()
    numbers = [float(sample[0][0, 0]) for sample in samples]
    assert len(samples) == SAMPLES and {sample[0].shape for sample in samples} == {(1, 2)}
    assert min(numbers) >= 0 and max(numbers) > 1.5 * SAMPLES, "of all pictures, not of the first ones"


def test_the_speeds_of_two_networks_are_exchanged() -> None:
    import time

    usual, fast = calibration._Tap("pose"), calibration._Tap("pose")
    tap_run = usual("pose", lambda *_: time.sleep(0.003), ())  # type: ignore[arg-type, func-returns-value, return-value]
    tap_run(np.zeros((1, 2), np.float32))
    fast("pose", lambda *_: time.sleep(0.001), ())  # type: ignore[arg-type, func-returns-value, return-value]
    assert calibration._speed(usual, fast) > 1.2


def run(*arguments: str) -> Any:
    return CliRunner().invoke(models_app, ["calibrate", *arguments])


def test_the_command_ends_well_where_nothing_is_kept(monkeypatch: pytest.MonkeyPatch, pictures: CocoPersons) -> None:
    def refuse(*_: object, **__: object) -> Finding:
        raise CalibrationError("it costs too much")

    monkeypatch.setattr(calibration, "calibrate", refuse)
    folder = pictures.images[0].path.parent
    result = run("yolox-nano", "--images", str(folder), "--annotations", str(folder / "labels.json"))
    assert isinstance(result.exception, CalibrationError) and exit_code(result.exception) == ExitCode.FAILED


def test_the_command_checks_on_the_pictures_it_learnt_from(
    monkeypatch: pytest.MonkeyPatch, pictures: CocoPersons
) -> None:
    seen: list[Any] = []

    def remember(_: Config, role: str, learnt: Any, check: CocoPersons, **__: object) -> Finding:
        seen.extend([role, {of.id for of in learnt}, {of.id for of in check.images}])
        return FINDING

    monkeypatch.setattr(calibration, "calibrate", remember)
    folder = pictures.images[0].path.parent
    result = run("yolox-nano", "--images", str(folder), "--annotations", str(folder / "labels.json"), "--json")
    assert seen == ["detector", {0, 2}, {1}]
    answer = json.loads(result.stdout)
    assert answer["model"] == "yolox-nano" and answer["ap"] == {"box": [0.5, 0.48]} and answer["loss"] == 0.02


def test_pictures_to_check_on_without_labels_are_passed_over() -> None:
    result = run("yolox-nano", "--images", "a", "--annotations", "b", "--check-images", "c")
    assert result.exception is not None and exit_code(result.exception) == ExitCode.USAGE
