"""One configuration as several: the streams dealt out to workers, each with addresses of its own."""

from __future__ import annotations

import re
from collections import Counter

from stream.config import Config, ConfigError, Problem

STEP = 10
"""From one worker's ports to the next one's: room for those of publishing, replay, commands and page side by side."""


def shard(config: Config, index: int, count: int) -> Config:
    """The part of worker `index` of `count`: every `count`th stream, and ports that are `STEP` * `index` higher.

    So all workers may run on one machine. A path (`ipc://`) gets `-INDEX` at its end, but that of worker 0; what
    listens at any free port stays as it is. Recordings go to one folder: their names are those of the streams.

    Raises:
        ConfigError: two workers would listen at one port, or a port is too high.
    """
    if index == 0:
        _check_ports(config, count)
    publish, control, web = config.publish, config.control, config.web
    return config.model_copy(
        update={
            "streams": config.streams[index::count],
            "publish": publish.model_copy(
                update={
                    "endpoint": _moved(publish.endpoint, index),
                    "replay_port": publish.replay_port and publish.replay_port + STEP * index,
                }
            ),
            "control": control.model_copy(update={"endpoint": _moved(control.endpoint, index)}),
            "web": web.model_copy(update={"address": _moved(web.address, index)}),
        }
    )


def _moved(address: str | None, index: int) -> str | None:
    """`address` of worker 0 as that of worker `index`."""
    if address is None or index == 0:
        return address
    if address.startswith("ipc://"):
        return f"{address}-{index}"
    port = _port(address)
    return address if not port else f"{address.rpartition(':')[0]}:{port + STEP * index}"


def _port(address: str | None) -> int:
    """Of HOST:PORT or tcp://HOST:PORT; 0 for any free one, and for what has none."""
    match = re.search(r":(\d+)$", address or "")
    return int(match[1]) if match else 0


def _check_ports(config: Config, count: int) -> None:
    first = {
        "publish.endpoint": _port(config.publish.endpoint),
        "publish.replay_port": config.publish.replay_port,
        "control.endpoint": _port(config.control.endpoint),
        "web.address": _port(config.web.address),
    }
    ports = Counter(port + STEP * index for port in first.values() if port for index in range(count))
    problems = [
        Problem("", key, f"{count} workers need ports up to {port + STEP * (count - 1)}; ports end at 65535")
        for key, port in first.items()
        if port and port + STEP * (count - 1) > 65_535
    ]
    twice = sorted(port for port, times in ports.items() if times > 1)
    if twice:
        said = f"two workers would listen at port {twice[0]}, as each one's are {STEP} higher than the last one's"
        problems.append(Problem("", "", f"{said}; give other ports"))
    if problems:
        raise ConfigError(problems)
