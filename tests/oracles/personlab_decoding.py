"""Golden arrays of PersonLab's decoding, made by the original code of PosePlusSeg.

Usage: python -m tests.oracles.personlab_decoding POSEPLUSSEG OUTPUT.npz

POSEPLUSSEG is a folder with the files `post_proc.py` and `config.py` of that project (commit 76a77d1), which are
imported and run as they are; what they import without using it, scikit-image, is replaced by nothing. They want maps
of the image's size, resized and refined as the original network does it in TensorFlow. That is done here with PyTorch's
`interpolate` and SciPy's `map_coordinates`, which agree with it: bilinear, corners aligned, zero outside of the image.

For every scene of `tests.models.joint.scenes.GOLDEN` the file has the people whom the original finds, those of five
keypoints or more [N, 17, 3]; whose each pixel is [H, W]; and the votes of every twentieth row and column.

In the original, a keypoint that was not found lies at (0, 0) and so enlarges the box that a person's size is taken
from. The paper does not say so, and it is no use: the masks here are made of people whose missing keypoints lie on
one that was found, with score 0.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.ndimage
import torch

from tests.models.joint.scenes import EDGES, GOLDEN, Scene

Array = npt.NDArray[Any]


def original(folder: str) -> Any:
    """The module `post_proc`."""
    sys.path.insert(0, folder)
    filters = types.ModuleType("scipy.ndimage.filters")  # where these functions were when it was written
    vars(filters).update(vars(scipy.ndimage))
    feature = types.ModuleType("skimage.feature")
    vars(feature)["peak_local_max"] = None
    sys.modules |= {
        "scipy.ndimage.filters": filters,
        "skimage": types.ModuleType("skimage"),
        "skimage.feature": feature,
    }
    return importlib.import_module("post_proc")


def resized(maps: Array, scene: Scene) -> Array:
    """[C, h, w] -> [H, W, C]."""
    size = scene.labels.shape
    out = torch.nn.functional.interpolate(torch.from_numpy(maps)[None], size, mode="bilinear", align_corners=True)
    return out[0].permute(1, 2, 0).double().numpy()


def refined(base: Array, offsets: Array) -> Array:
    """`base` [H, W, 2], moved twice by the `offsets` [H, W, 2] of where it points to."""
    rows, columns = np.indices(base.shape[:2])
    for _ in range(2):
        places = [rows + base[..., 1], columns + base[..., 0]]
        base = base + np.stack(
            [scipy.ndimage.map_coordinates(offsets[..., axis], places, order=1, mode="constant") for axis in (0, 1)], -1
        )
    return base


def full_maps(scene: Scene) -> tuple[Array, Array, Array, Array, Array]:
    """What the original network gives: heat, short, mid and long offsets, person; all [H, W, C]."""
    heat, short, mid, long, person = (resized(part, scene) for part in scene.maps)
    pairs = [slice(2 * pair, 2 * pair + 2) for pair in range(32)]
    edges = (*EDGES, *((end, start) for start, end in EDGES))
    mid = np.concatenate([refined(mid[..., pairs[e]], short[..., pairs[end]]) for e, (_, end) in enumerate(edges)], -1)
    long = np.concatenate(
        [refined(refined(long[..., pair], long[..., pair]), short[..., pair]) for pair in pairs[:17]], -1
    )
    return heat, short, mid, long, person


def compact(people: Array) -> Array:
    """`people` with what was not found put on what was."""
    return np.array([np.where(person[:, 2:] > 0, person, [*person[person[:, 2].argmax(), :2], 0]) for person in people])


def main() -> None:
    """Write the file."""
    folder, output = sys.argv[1:]
    post = original(folder)
    arrays: dict[str, Array] = {}
    for name, make in GOLDEN.items():
        scene = make()
        heat, short, mid, long, person = full_maps(scene)
        votes = post.compute_heatmaps(heat, short)
        keypoints = post.get_keypoints(votes)
        people = [found for found in post.group_skeletons(keypoints, mid) if (found[:, 2] > 0).sum() > 4]
        people.sort(key=lambda found: -found[:, 2].sum())
        labels = np.full(scene.labels.shape, -1)
        for number, mask in enumerate(post.get_instance_masks(compact(np.array(people)), person[..., 0], long)):
            labels[mask > 0] = number
        arrays[f"{name}.people"] = np.array(people, np.float32)
        arrays[f"{name}.labels"] = labels.astype(np.int8)
        arrays[f"{name}.votes"] = votes[::20, ::20].transpose(2, 0, 1).astype(np.float32)
        print(name, len(people), (labels >= 0).mean(), file=sys.stderr)  # noqa: T201
    np.savez_compressed(output, **arrays)


if __name__ == "__main__":
    main()
