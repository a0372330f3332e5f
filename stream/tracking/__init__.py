"""Tracking: who is who from frame to frame, for each stream alone."""

from stream.tracking.smoothing import KeypointSmoother
from stream.tracking.tracker import Followed, Tracker

__all__ = ["Followed", "KeypointSmoother", "Tracker"]
