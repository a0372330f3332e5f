"""What serves kept networks does without PyTorch."""

from __future__ import annotations

import subprocess
import sys


def test_a_start_with_kept_networks_waits_for_pytorch() -> None:
    tasks = "models.detect.yolox_task, models.pose.rtmpose_task, models.segment.blazepose_task"
    code = f"import sys, stream.pipeline, {tasks}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
