"""What becomes of results on this machine: JSON lines, MOT and COCO files, and video with the results drawn in."""

from stream.sinks.folder import FolderSink, Format, Sink, SinkError, Writer
from stream.sinks.formats import FORMATS, open_sinks
from stream.sinks.overlay import Style, draw
from stream.sinks.rate import Rate
from stream.sinks.rotation import Rotation
from stream.sinks.trails import Trails

__all__ = [
    "FORMATS",
    "FolderSink",
    "Format",
    "Rate",
    "Rotation",
    "Sink",
    "SinkError",
    "Style",
    "Trails",
    "Writer",
    "draw",
    "open_sinks",
]
