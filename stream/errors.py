"""What can be wrong with a wish concerning the streams of a run."""


class StreamError(Exception):
    """A stream cannot be added, removed, changed, paused or resumed; one sentence says why."""


class StreamOptionsError(StreamError):
    """The options of a stream are wrong: its configuration has to be changed, not the run."""


class NoAnswerError(TimeoutError):
    """A run did not answer a command."""
