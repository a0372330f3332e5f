"""Which addresses of one run cannot be listened at together."""

from __future__ import annotations

from itertools import combinations
from typing import TypeAlias

from stream.config.outputs import ControlConfig, PublishConfig, WebConfig

Place: TypeAlias = "tuple[str, str]"
"""Host and port; "ipc" and a path for what has none."""

_EVERYWHERE = frozenset({"*", "0.0.0.0", "::"})
"""Hosts that stand for all addresses of a machine."""


def taken_twice(publish: PublishConfig, control: ControlConfig, web: WebConfig) -> tuple[str, str, str] | None:
    """Section and name of an option whose address another one takes, and that one; None where all keep apart."""
    places = {
        ("publish", "endpoint"): _place(publish.endpoint),
        ("publish", "replay_port"): _replay(publish),
        ("control", "endpoint"): _place(control.endpoint),
        ("web", "address"): _place(web.address),
    }
    taken = [(option, place) for option, place in places.items() if place is not None]
    for (first, there), (second, here) in combinations(taken, 2):
        if _meet(there, here):
            return (*second, ".".join(first))
    return None


def _place(address: str | None) -> Place | None:
    """Of HOST:PORT, tcp://HOST:PORT or ipc://PATH; None for none, and for any free port."""
    scheme, _, rest = (address or "").rpartition("://")
    if scheme == "ipc":
        return "ipc", rest
    host, _, port = rest.rpartition(":")
    host = host.strip("[]")
    return ("127.0.0.1" if host == "localhost" else host, str(int(port))) if port.strip("0*") else None


def _replay(publish: PublishConfig) -> Place | None:
    """Where missed frames are fetched: on the host of the results, or beside their path."""
    if publish.endpoint is None or not publish.replay_mib:
        return None
    if publish.endpoint.startswith("ipc://"):
        return _place(f"{publish.endpoint}.replay")
    return _place(f"{publish.endpoint.rpartition(':')[0]}:{publish.replay_port}")


def _meet(one: Place, other: Place) -> bool:
    """Whether two of these are one: the same, or the same port where a host stands for all addresses."""
    (host, port), (other_host, other_port) = one, other
    if port != other_port or (host == "ipc") != (other_host == "ipc"):
        return False
    return host == other_host or bool({host, other_host} & _EVERYWHERE)
