"""How fast and how accurate: benchmarks, scores, comparisons, calibration, traces."""
