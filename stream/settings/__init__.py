"""Configurations as text: read from YAML with everything explained that is wrong, and written to it."""

from stream.settings.loading import load_config, load_stream
from stream.settings.text import default_text, effective, effective_text

__all__ = ["default_text", "effective", "effective_text", "load_config", "load_stream"]
