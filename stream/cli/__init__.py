"""The command line."""

from stream.cli.app import main

__all__ = ["main"]
