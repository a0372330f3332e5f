"""The pose templates of Pose2Seg, made by k-means from COCO's labelled keypoints.

Usage: python -m benchmarks.pose_templates ANNOTATIONS.json... [--count 3] -o models/segment/pose_templates.json

Crowds are left out, and poses of fewer than eight labelled keypoints. The same annotations give the same templates.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.arguments import count, existing_file, explained, writable_file
from models.errors import LabelsError
from models.segment.pose_templates import NAMES, VISIBLE, cluster_poses, save_templates
from models.tasks import Float


def annotations(path: Path) -> list[dict[str, Any]]:
    """Those of a file of COCO's.

    Raises:
        LabelsError: it is none.
    """
    try:
        return list(json.loads(path.read_bytes())["annotations"])
    except (ValueError, KeyError, TypeError):
        raise LabelsError(f"{path} holds no annotations: expected JSON as COCO's person_keypoints files") from None


def people(paths: list[Path]) -> tuple[Float, Float]:
    """Keypoints, float32 [N, 17, 3], and boxes, float32 [N, 4], of everybody labelled in COCO's files."""
    found = [
        (annotation["keypoints"], annotation["bbox"])
        for path in paths
        for annotation in annotations(path)
        if annotation.get("num_keypoints") and not annotation.get("iscrowd")
    ]
    keypoints = np.array([person for person, _ in found], np.float32).reshape(-1, 17, 3)
    boxes = np.array([box for _, box in found], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return keypoints, boxes


@explained
def main() -> None:
    """Cluster, write, and say what each template is."""
    parser = argparse.ArgumentParser(description="Pose templates by k-means.")
    parser.add_argument("annotations", nargs="+", type=existing_file)
    parser.add_argument("--count", type=count, default=3)
    parser.add_argument("-o", "--output", type=writable_file, required=True)
    options = parser.parse_args()
    try:
        clusters = cluster_poses(*people(options.annotations), options.count)
    except ValueError as error:
        parser.error(str(error))
    save_templates(options.output, clusters)
    console = Console()
    for number, cluster in enumerate(clusters):
        missing = [name for name, flag in zip(NAMES, cluster[:, 2], strict=True) if flag < VISIBLE]
        console.print(f"template {number}: without {', '.join(missing) or 'nothing'}")


if __name__ == "__main__":
    main()
