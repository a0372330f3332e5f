"""Where frames come from: video files, images, test patterns and feeds, behind one interface."""

from stream.sources.opening import open_source
from stream.sources.reader import Picture, Reader, SourceError
from stream.sources.source import Source

__all__ = ["Picture", "Reader", "Source", "SourceError", "open_source"]
