"""What can be wrong with a wish concerning the streams of a run."""


class StreamError(Exception):
    """A stream cannot be added, removed, changed, paused or resumed; one sentence says why."""
