"""The poses that people are laid over before Pose2Seg looks at them: read from a file, or found by k-means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import ClusterError, kmeans2

from models.coco import MIRRORED
from models.errors import CheckpointError
from models.tasks import Bool, Float

NAMES = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
"""COCO's keypoints, as a file of templates has to name them."""

VISIBLE = 0.4
"""Mean of COCO's flag (0, 1, 2) in a cluster from which a keypoint belongs to its template."""

LEAST_KEYPOINTS = 8
"""A pose with fewer labelled keypoints is not clustered."""

_RESTARTS = 20
"""k-means depends on where it starts; the tightest of so many runs is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class PoseTemplates:
    """T poses in the unit square.

    Attributes:
        points: float64 [T, 17, 2], x and y; where not `valid`, of no meaning.
        valid: bool [T, 17], the keypoints that a pose has; a pose of the upper body lacks knees and ankles.
    """

    points: npt.NDArray[np.float64]
    valid: Bool

    @staticmethod
    def of_clusters(clusters: npt.NDArray[np.float64], visible: float) -> PoseTemplates:
        """The templates of cluster centres, float64 [K, 17, 3], and of each the one whose left is its right.

        The second has the same places: a person seen from behind has them with left and right exchanged.

        Args:
            clusters: x, y in the unit square, and the mean flag.
            visible: the mean flag from which a keypoint is valid.
        """
        both = np.concatenate([clusters, clusters[:, MIRRORED]])
        return PoseTemplates(both[..., :2], both[..., 2] >= visible)


def load_templates(path: Path | None = None) -> PoseTemplates:
    """The templates in a JSON file, ours or Pose2Seg's own `templates.json`; without `path`, those of this package.

    Raises:
        CheckpointError: the file does not hold templates of COCO's keypoints.
        OSError: the file cannot be read.
    """
    source: Path | Traversable = path or files("models.segment") / "pose_templates.json"
    try:
        content: Mapping[str, Any] = json.loads(source.read_text(encoding="utf-8"))
        names, visible = tuple(content["names"]), float(content["vis_threshold"])
        clusters = np.array(content["templates"], np.float64).reshape(-1, len(NAMES), 3)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{source} does not hold pose templates ({error!r}); give one as Pose2Seg has it"
        ) from None
    if names != NAMES or not len(clusters) or not np.isfinite(clusters).all():
        raise CheckpointError(f"{source} does not hold poses of COCO's 17 keypoints in their order")
    return PoseTemplates.of_clusters(clusters, visible)


def save_templates(path: Path, clusters: npt.NDArray[np.float64]) -> None:
    """Write cluster centres, float64 [K, 17, 3], to a file that `load_templates` reads; four digits of each number."""
    rows = [[round(float(value), 4) for value in cluster.ravel()] for cluster in clusters]
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    names = json.dumps(NAMES)
    path.write_text(
        f'{{"names": {names},\n "vis_threshold": {VISIBLE},\n "minpoints": {LEAST_KEYPOINTS},\n'
        f' "templates": [\n  {lines}\n ]}}\n',
        encoding="utf-8",
    )


def cluster_poses(keypoints: Float, boxes: Float, count: int = 3) -> npt.NDArray[np.float64]:
    """Typical poses by k-means, as Zhang et al., "Pose2Seg", 2019, section 3.2, find them; largest cluster first.

    Each pose is centred in the unit square by its box, and stands beside its mirror image. What is clustered is x, y
    and the flag of the 17 keypoints, one that is not labelled in the middle of the square.

    Args:
        keypoints: float32 [N, 17, 3], COCO order: x, y and COCO's flag.
        boxes: float32 [N, 4], x1, y1, x2, y2.
        count: of the clusters.

    Returns:
        float64 [count, 17, 3], x, y and the mean flag.

    Raises:
        ValueError: too few of the poses have eight labelled keypoints.
    """
    enough = (keypoints[..., 2] > 0).sum(1) >= LEAST_KEYPOINTS
    poses = _in_unit_square(keypoints[enough].astype(np.float64), boxes[enough].astype(np.float64))
    mirrored = poses[:, MIRRORED] * (-1, 1, 1) + (1, 0, 0)
    vectors = np.concatenate([poses, mirrored]).reshape(-1, 3 * len(NAMES))
    if len(vectors) < count:
        raise ValueError(f"{count} templates need more than {len(poses)} poses of {LEAST_KEYPOINTS} labelled keypoints")
    best: tuple[float, npt.NDArray[np.float64]] | None = None
    for seed in range(_RESTARTS):
        rng = np.random.default_rng(seed)
        try:
            centres, labels = kmeans2(vectors, count, iter=100, minit="points", missing="raise", rng=rng)
        except ClusterError:  # one without poses; the next start may be a better one
            continue
        spread = float(((vectors - centres[labels]) ** 2).sum())
        if best is None or spread < best[0]:
            best = spread, centres[np.argsort(-np.bincount(labels))]
    if best is None:
        raise ValueError(f"{len(poses)} poses do not fall into {count} clusters; give fewer templates or more poses")
    return best[1].reshape(count, len(NAMES), 3)


def _in_unit_square(poses: npt.NDArray[np.float64], boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    corners, sides = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None]
    scale = 1 / np.maximum(sides.max(-1, keepdims=True), 1e-6)
    placed = (poses[..., :2] - corners - sides / 2) * scale + 0.5
    labelled = poses[..., 2:] > 0
    return np.concatenate([np.where(labelled, placed, 0.5), poses[..., 2:]], -1)
