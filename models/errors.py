"""What can go wrong with models, their weights and the data they are measured on."""


class UnknownModelError(LookupError):
    """The zoo has no entry of that name."""


class WeightsError(Exception):
    """A file of weights is missing, cannot be fetched, or is not what it should be."""


class CheckpointError(WeightsError):
    """A file of weights cannot be read: truncated, damaged, of another format, or hostile."""


class LabelsError(Exception):
    """Labelled data cannot be used: missing, malformed, or not what it should be."""
