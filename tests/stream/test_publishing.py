"""A pipeline's results reach other programs under the rules of its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.pipeline import Pipeline
from stream.wire import KeyFolder, SecurityError, Subscriber
from tests.stream.graphs import assembly, patterns

HERE = {"endpoint": "tcp://127.0.0.1:0", "wait_subscribers": 1, "wait_seconds": 10.0}


def test_a_pipeline_with_keys_publishes_in_the_clear_or_replays_nothing(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path)
    for name in ("server", "viewer"):
        keys.create(name)
    keys.allow("viewer", tmp_path / "viewer.key")
    config = patterns("lobby", publish=HERE, security={"keys": str(tmp_path)})
    with Pipeline(config, assembly=assembly()) as pipeline:
        endpoint = pipeline.endpoint
        assert endpoint is not None
        viewer = {"server_key": tmp_path / "server.key", "keys": tmp_path / "viewer.key_secret"}
        with (
            Subscriber(endpoint) as stranger,
            Subscriber(endpoint, recover=True, until_end=True, timeout=10, **viewer) as results,  # type: ignore[arg-type]
        ):
            pipeline.run()
            assert [result.seq for result in results] == list(range(20))
            assert results.infos["lobby"].replay.startswith("tcp://*:") and results.infos["lobby"].run
            assert stranger.receive(0.1) is None and not stranger.infos


def test_a_pipeline_without_a_replay_tells_of_one() -> None:
    config = patterns("lobby", publish={**HERE, "replay_mib": 0})
    with (
        Pipeline(config, assembly=assembly()) as pipeline,
        Subscriber(pipeline.endpoint or "", until_end=True, timeout=10) as results,
    ):
        pipeline.run()
        assert len(list(results)) == 20 and results.infos["lobby"].replay == ""


def test_a_pipeline_opens_itself_to_other_machines_unasked() -> None:
    everywhere = {"endpoint": "tcp://*:0"}
    with pytest.raises(SecurityError, match="in the clear, where other machines reach it"):
        Pipeline(patterns("lobby", publish=everywhere), assembly=assembly())
    Pipeline(patterns("lobby", publish=everywhere, security={"insecure": True}), assembly=assembly()).close()
