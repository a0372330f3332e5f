"""The live page, /metrics, /healthz and /readyz: one small web server beside a running pipeline."""

from stream.web.server import AddressError, WebServer

__all__ = ["AddressError", "WebServer"]
