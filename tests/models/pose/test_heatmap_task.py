from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from models.backends import Precision, Source
from models.build import Builder, Execution
from models.errors import CheckpointError
from models.pose.heatmap_task import PIXELS, HeatmapEstimator, hourglass_estimator, simplebaseline_estimator
from models.pose.simplebaseline import ATTENTIONS, BLOCKS, SimpleBaseline
from models.pose.skeletons import COCO, MPII, SKELETONS, Skeleton
from models.serving import PoseOptions, Ready
from models.tasks import Float, Image
from models.zoo import load_zoo
from tests.models.compiling import EagerCompile, weights_of

TORCH = Execution(backend="torch", precision="float32", threads=1)
FACE, LIMBS = slice(0, 5), slice(5, 17)


class FindsTheDot:
    """A runner whose every heat map has its bump at the brightest pixel of the crop, `distance` away."""

    def __init__(self, keypoints: int = 17, middle: float = 0, distance: float | None = None) -> None:
        self.keypoints, self.middle, self.distance = keypoints, middle, distance
        self.batches: list[int] = []

    def __call__(self, pixels: Image) -> tuple[Float, ...]:
        self.batches.append(len(pixels))
        count, height, width, _ = pixels.shape
        y, x = np.divmod(pixels[..., 0].reshape(count, -1).argmax(axis=1), width)
        rows, columns = np.mgrid[: height // 4, : width // 4]
        x, y = ((place.reshape(-1, 1, 1) - self.middle) / 4 for place in (x, y))
        bell = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8) * (pixels.max(axis=(1, 2, 3)) / 255)[:, None, None]
        maps = np.repeat(bell[:, None].astype(np.float32), self.keypoints, axis=1)
        return (maps,) if self.distance is None else (maps, np.full_like(maps, self.distance))


def dotted(height: int, width: int, *dots: tuple[int, int]) -> Image:
    image = np.zeros((height, width, 3), np.uint8)
    for x, y in dots:
        image[y, x] = 255
    return image


def around(x: float, y: float, width: float = 60, height: float = 80) -> list[float]:
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def boxes(*rows: list[float]) -> Float:
    return np.array(rows, np.float32).reshape(-1, 4)


def picture(height: int = 120, width: int = 160) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("middle", [0, 1.5])
def test_keypoints_come_back_to_other_pixels_of_their_image(middle: float) -> None:
    image = dotted(300, 400, (100, 120), (222, 133))
    estimator = HeatmapEstimator(FindsTheDot(middle=middle), middle=middle)
    (found,) = estimator([image], [boxes(around(104, 117), around(220, 140))])
    assert found.shape == (2, 17, 3) and found.dtype == np.float32
    # A quarter of a cell is a third of a pixel here.
    np.testing.assert_allclose(found[0, :, :2], [[100, 120]] * 17, atol=0.5)
    np.testing.assert_allclose(found[1, :, :2], [[222, 133]] * 17, atol=0.5)
    assert (found[..., 2] > 0.7).all()


def test_nobody_is_an_empty_result_and_the_network_is_not_called() -> None:
    run = FindsTheDot()
    found = HeatmapEstimator(run)([dotted(64, 64), dotted(10, 10)], [boxes(), boxes()])
    assert [keypoints.shape for keypoints in found] == [(0, 17, 3), (0, 17, 3)]
    assert HeatmapEstimator(run)([], []) == []
    assert run.batches == []


def test_sixty_people_are_more_than_a_batch_holds() -> None:
    run = FindsTheDot()
    places = [(40 + 80 * (i % 10), 50 + 90 * (i // 10)) for i in range(60)]
    images = [dotted(640, 900, *places), dotted(64, 64, (30, 30))]
    found = HeatmapEstimator(run)(images, [boxes(*[around(*place) for place in places]), boxes(around(30, 30))])
    assert run.batches == [32, 29]
    np.testing.assert_allclose(found[0][:, 0, :2], places, atol=0.5)
    np.testing.assert_allclose(found[1][:, 0, :2], [(30, 30)], atol=0.5)


@pytest.mark.parametrize("box", [around(400, 400), [-900, -900, -800, -700], [20, 20, 20, 20]])
def test_a_person_outside_of_the_image_or_of_no_size_has_keypoints(box: list[float]) -> None:
    (found,) = HeatmapEstimator(FindsTheDot())([dotted(64, 64, (5, 5))], [boxes(box)])
    assert np.isfinite(found).all()
    assert (found[..., 2] == 0).all()


def test_the_twelve_joints_of_mpii_are_not_those_of_coco() -> None:
    assert sorted(number for number in MPII.coco if number is not None) == [0, 1, 2, 3, 4, 5, *range(10, 16)]
    scores = np.arange(1, 17, dtype=np.float32).reshape(1, 16, 1)
    found = MPII.to_coco(scores)[0, :, 0]
    assert found[FACE].tolist() == [0] * 5
    # COCO goes from left to right, shoulders to ankles; MPII's numbers, counted from 1 here, from the right ankle up.
    assert found[LIMBS].tolist() == [14, 13, 15, 12, 16, 11, 4, 3, 5, 2, 6, 1]
    np.testing.assert_array_equal(COCO.to_coco(np.arange(17.0).reshape(1, 17)), np.arange(17.0).reshape(1, 17))


def test_a_face_is_found_by_a_network_that_knows_none() -> None:
    (found,) = HeatmapEstimator(FindsTheDot(16), skeleton=MPII)([dotted(200, 200, (90, 90))], [boxes(around(90, 90))])
    assert (found[0, FACE, 2] == 0).all()
    assert (found[0, LIMBS, 2] > 0.8).all()
    np.testing.assert_allclose(found[0, LIMBS, :2], [[90, 90]] * 12, atol=0.5)


@pytest.mark.parametrize(("skeleton", "middle"), [(COCO, 0), (MPII, 1.5)])
def test_a_flip_test_moves_keypoints(skeleton: Skeleton, middle: float) -> None:
    run = FindsTheDot(skeleton.count, middle)
    image, box = dotted(256, 192, (73, 101)), boxes([0, 0, 192, 256])
    twice = HeatmapEstimator(run, skeleton=skeleton, middle=middle, padding=1, flip_test=True)
    (found,) = twice([image], [box])
    assert run.batches == [1, 1]
    np.testing.assert_allclose(found[0, LIMBS, :2], [[73, 101]] * 12, atol=0.51)


def test_a_flip_test_takes_left_for_right() -> None:
    class SeesTheLeftEye(FindsTheDot):
        """Finds the left eye at a dot in the left half, and the right one where the image is mirrored."""

        def __call__(self, pixels: Image) -> tuple[Float, ...]:
            (maps,) = super().__call__(pixels)
            mirrored = pixels[:, :, : pixels.shape[2] // 2].max() < 200
            maps[:, [k for k in range(17) if k != (2 if mirrored else 1)]] = 0
            return (maps,)

    run = SeesTheLeftEye()
    (found,) = HeatmapEstimator(run, padding=1, flip_test=True)(
        [dotted(256, 192, (48, 100))], [boxes([0, 0, 192, 256])]
    )
    assert found[0, 1, 2] > 0.8 and found[0, 2, 2] == 0


def test_a_distance_is_lost_or_made_up() -> None:
    image, box = dotted(200, 200, (90, 90)), boxes(around(90, 90))
    estimator = HeatmapEstimator(FindsTheDot(distance=-1.5))
    (found,) = estimator.in_depth([image], [box])
    assert found.shape == (1, 17, 4)
    assert (found[..., 3] == -1.5).all()
    np.testing.assert_array_equal(estimator([image], [box])[0], found[..., :3])
    (flat,) = HeatmapEstimator(FindsTheDot()).in_depth([image], [box])
    assert (flat[..., 3] == 0).all()


HEATMAP_MODELS = [entry for entry in load_zoo().models if entry.architecture in ("simplebaseline", "hourglass")]


def test_an_entry_of_the_zoo_has_an_argument_that_no_network_knows() -> None:
    assert len(HEATMAP_MODELS) == 29
    for entry in HEATMAP_MODELS:
        arguments = dict(entry.arguments)
        assert arguments.pop("pixels") in PIXELS
        assert {int(arguments.pop(side)) % 32 for side in ("height", "width")} == {0}
        if entry.architecture == "simplebaseline":
            assert arguments.pop("depth") in BLOCKS
            assert arguments.pop("attention", "none") in ATTENTIONS
            assert arguments.pop("skeleton", "coco") in SKELETONS
            assert arguments.pop("dimensions", 2) in (2, 3)
        elif arguments.pop("variant") != "hourglass52":
            assert arguments.pop("stacks") in (1, 2, 8)
        assert not arguments


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("simplebaseline-r50-3d-mpii", [(1, 16, 16, 32)] * 2),
        ("simplebaseline-r50-both", [(1, 17, 16, 32)]),
        ("hourglass-mpii-1", [(1, 16, 16, 32)]),
        ("hourglass-princeton-2", [(1, 16, 16, 32)]),
    ],
)
def test_arguments_of_the_zoo_do_not_reach_the_network(name: str, outputs: list[tuple[int, ...]]) -> None:
    class Keep(EagerCompile):
        def __call__(
            self,
            make: Callable[[], Source],
            *,
            size: tuple[int, ...] = (),
            lowest: Precision = "float32",
            part: str = "",
        ) -> Ready:
            source = make()
            self.networks[part] = source.network
            return Ready(FindsTheDot(), source.inputs)

    build, compiled = simplebaseline_estimator if "simple" in name else hourglass_estimator, Keep()
    with torch.device("meta"):  # without memory
        estimator = build(weights_of(name), compiled, PoseOptions(flip_test=True))
        found = compiled.networks[""].network(torch.zeros(1, 3, 64, 128))
    assert [tuple(of.shape) for of in (found if isinstance(found, tuple) else (found,))] == outputs
    assert isinstance(estimator, HeatmapEstimator)
    assert estimator.skeleton.count == outputs[0][1] and estimator.flip_test
    assert estimator.middle == (1.5 if "hourglass" in name else 0)


def test_weights_of_microsoft_get_the_pixels_of_openmmlab() -> None:
    asked = {entry.name: str(entry.arguments["pixels"]) for entry in HEATMAP_MODELS}
    assert not PIXELS[asked["simplebaseline-r50-microsoft"]].rgb
    assert PIXELS[asked["simplebaseline-r50"]].rgb
    assert PIXELS[asked["simplebaseline-r50-microsoft"]].mean == PIXELS[asked["simplebaseline-r50"]].mean
    assert PIXELS[asked["hourglass-mpii-2"]].mean == pytest.approx([255 * m for m in (0.4404, 0.4440, 0.4327)])


def test_a_real_network_with_a_file_of_ones_own_does_not_serve(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(SimpleBaseline(50).state_dict(), tmp_path / "mine.pth.tar")
    estimator = simplebaseline_estimator(
        weights_of("simplebaseline-r50-microsoft", tmp_path / "mine.pth.tar"), EagerCompile(), PoseOptions()
    )
    (found,) = estimator([picture()], [boxes(around(80, 60), around(10, 10))])
    assert found.shape == (2, 17, 3) and np.isfinite(found).all()
    assert ((found[..., 2] >= 0) & (found[..., 2] <= 1)).all()


def test_a_truncated_or_foreign_file_is_taken(tmp_path: Path) -> None:
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in SimpleBaseline(50).state_dict().items()}
    torch.save({name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}, tmp_path / "wide.pth")
    content = (tmp_path / "wide.pth").read_bytes()
    (tmp_path / "short.pth").write_bytes(content[: len(content) // 2])
    builder = Builder(load_zoo())
    with pytest.raises(CheckpointError, match="short.pth"):
        builder.pose("simplebaseline-r50", TORCH, weights=str(tmp_path / "short.pth"))
    with pytest.raises(CheckpointError, match="do not fit SimpleBaseline"):
        builder.pose("simplebaseline-r152", TORCH, weights=str(tmp_path / "wide.pth"))
    with pytest.raises(CheckpointError, match="do not fit Hourglass52"):
        builder.pose("hourglass52-256", TORCH, weights=str(tmp_path / "wide.pth"))
