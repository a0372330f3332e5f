"""Configurations as text: read from YAML with everything explained that is wrong, and written to it."""

from stream.settings.loading import change_options, load_config, load_stream
from stream.settings.text import default_text, effective, effective_text

__all__ = ["change_options", "default_text", "effective", "effective_text", "load_config", "load_stream"]
