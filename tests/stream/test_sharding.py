"""Workers that share one configuration watch the same stream, leave one out, or get into each other's way."""

from __future__ import annotations

import pytest

from stream.config import Config, ConfigError
from stream.sharding import shard
from tests.stream.graphs import patterns


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
def test_a_stream_is_watched_by_nobody_or_by_two(count: int) -> None:
    config = patterns(*"abcde")
    watched = [stream.id for index in range(count) for stream in shard(config, index, count).streams]
    assert sorted(watched) == list("abcde")


def test_one_worker_has_more_to_do_than_the_others() -> None:
    sizes = [len(shard(patterns(*"abcdefg"), index, 3).streams) for index in range(3)]
    assert sizes == [3, 2, 2]


def addressed() -> Config:
    return patterns(
        "a", "b",
        publish={"endpoint": "tcp://127.0.0.1:5555", "replay_port": 5557},
        control={"endpoint": "tcp://127.0.0.1:5556"},
        web={"address": "[::1]:8080"},
    )  # fmt: skip


def test_workers_listen_at_one_address() -> None:
    first, second = (shard(addressed(), index, 2) for index in range(2))
    assert first == addressed().model_copy(update={"streams": first.streams})
    assert (second.publish.endpoint, second.publish.replay_port) == ("tcp://127.0.0.1:5565", 5567)
    assert (second.control.endpoint, second.web.address) == ("tcp://127.0.0.1:5566", "[::1]:8090")


@pytest.mark.parametrize(
    ("endpoint", "of_second"),
    [
        ("ipc:///run/people", "ipc:///run/people-1"),
        ("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        ("tcp://127.0.0.1:0", "tcp://127.0.0.1:0"),
        (None, None),
    ],
)
def test_an_address_without_a_port_is_changed_as_if_it_had_one(endpoint: str | None, of_second: str | None) -> None:
    config = patterns("a", "b", publish={"endpoint": endpoint})
    assert shard(config, 1, 2).publish.endpoint == of_second
    assert shard(config, 1, 2).publish.replay_port == 0


def test_workers_that_would_listen_at_one_port_are_started() -> None:
    config = patterns(
        "a", "b", publish={"endpoint": "tcp://127.0.0.1:5555"}, control={"endpoint": "tcp://127.0.0.1:5565"}
    )
    with pytest.raises(ConfigError, match="two workers would listen at port 5565"):
        shard(config, 0, 2)


def test_a_port_that_does_not_exist_is_counted_up_to() -> None:
    config = patterns("a", "b", publish={"endpoint": "tcp://127.0.0.1:65530"})
    assert shard(config, 0, 1).streams == config.streams
    with pytest.raises(ConfigError, match=r"^publish\.endpoint: 2 workers need ports up to 65540; ports end at 65535$"):
        shard(config, 0, 2)
