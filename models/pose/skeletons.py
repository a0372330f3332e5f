"""Sets of keypoints that networks were trained on, and where COCO's are among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.serving import COCO_KEYPOINTS
from models.tasks import Float


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A set of keypoints.

    Attributes:
        count: how many.
        coco: of each of COCO's 17 the number that it has here; None for one that is not here.
    """

    count: int
    coco: tuple[int | None, ...]

    def to_coco(self, of_keypoints: Float) -> Float:
        """Rows of COCO's keypoints, [N, 17, ...], out of [N, count, ...]; zeros for one that is not here."""
        out = np.zeros((len(of_keypoints), COCO_KEYPOINTS, *of_keypoints.shape[2:]), np.float32)
        known = [number for number, here in enumerate(self.coco) if here is not None]
        out[:, known] = of_keypoints[:, [here for here in self.coco if here is not None]]
        return out


COCO = Skeleton(COCO_KEYPOINTS, tuple(range(COCO_KEYPOINTS)))

MPII = Skeleton(16, (None, None, None, None, None, 13, 12, 14, 11, 15, 10, 3, 2, 4, 1, 5, 0))
"""MPII Human Pose (Andriluka et al., 2014): right ankle, knee, hip, left hip, knee, ankle, pelvis, thorax, neck, top of
the head, right wrist, elbow, shoulder, left shoulder, elbow, wrist. It has no faces."""

SKELETONS = {"coco": COCO, "mpii": MPII}
