"""Where frames come from: video files, images, test patterns and feeds, behind one interface."""

from stream.sources.faults import Fault
from stream.sources.feed import Feed
from stream.sources.opening import open_source
from stream.sources.reader import Picture, Reader, SourceError
from stream.sources.source import MediumSource, Source

__all__ = ["Fault", "Feed", "MediumSource", "Picture", "Reader", "Source", "SourceError", "open_source"]
