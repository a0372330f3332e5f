"""Logits into scores."""

from __future__ import annotations

import numpy as np

from models.tasks import Float


def sigmoid(logits: Float) -> Float:
    """The logistic function, of any shape; 0 and 1 for logits of whatever size."""
    with np.errstate(over="ignore"):  # the exponential of a large number is infinite, and its inverse the right 0
        return np.reciprocal(np.exp(-logits) + np.float32(1))
