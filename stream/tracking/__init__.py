"""Tracking: who is who from frame to frame, for each stream alone."""

from stream.tracking.following import Followed
from stream.tracking.smoothing import KeypointSmoother
from stream.tracking.tracker import Tracker

__all__ = ["Followed", "KeypointSmoother", "Tracker"]
