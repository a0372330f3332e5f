"""/metrics names everything that there is to see of a stream and of a stage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest
import requests
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from models.backends import Choice
from stream.config import StreamConfig
from stream.pipeline import Pipeline
from stream.sources.faults import Fault
from stream.sources.nvdec import Fallback
from stream.state import REASONS
from stream.web.prometheus import _networks
from tests.stream.web.runs import endless, eventually, served

LOST = StreamConfig(id="lost", source="rtsp://me:hunter2@127.0.0.1:9/cam?token=geheim", open_timeout=1)

STREAM = {
    "peoplestream_frames_read": "counter",
    "peoplestream_frames_published": "counter",
    "peoplestream_frames_dropped": "counter",
    "peoplestream_reconnects": "counter",
    "peoplestream_source_faults": "counter",
    "peoplestream_decode_fallbacks": "counter",
    "peoplestream_subscriber_overruns": "counter",
    "peoplestream_put_off": "counter",
    "peoplestream_fps": "gauge",
    "peoplestream_queue_frames": "gauge",
    "peoplestream_people": "gauge",
    "peoplestream_stream_state": "gauge",
    "peoplestream_latency_seconds": "histogram",
}
STAGES = {
    "peoplestream_stage_seconds": "summary",
    "peoplestream_batch_frames": "summary",
    "peoplestream_out_of_memory": "counter",
    "peoplestream_network_info": "gauge",
    "peoplestream_backend_refused": "gauge",
}


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with served(endless("lobby")) as pipeline:
        pipeline.add_stream(LOST)
        eventually(lambda: pipeline.streams["lost"].disconnections)
        yield pipeline


def scrape(pipeline: Pipeline) -> dict[str, Metric]:
    text = requests.get(f"{pipeline.url}metrics", timeout=10).text
    assert "hunter2" not in text and "geheim" not in text and "127.0.0.1" not in text
    return {family.name: family for family in text_string_to_metric_families(text)}


def labels(family: Metric, name: str, stream: str) -> set[str]:
    return {
        sample.labels[name] for sample in family.samples if sample.labels["stream"] == stream and name in sample.labels
    }


def test_a_series_is_missing_or_of_another_kind(pipeline: Pipeline) -> None:
    families = scrape(pipeline)
    assert {name: family.type for name, family in families.items()} == {**STREAM, **STAGES}
    for name in STREAM:
        of = {sample.labels["stream"] for sample in families[name].samples}
        assert of == ({"lost"} if name == "peoplestream_source_faults" else {"lobby", "lost"}), name
    stages = {sample.labels["stage"] for sample in families["peoplestream_stage_seconds"].samples}
    assert stages == {"perceive", "heed", "track", "publish", "record"}, (
        "and the networks, which these tests do without"
    )


def test_a_reason_or_a_kind_of_fault_appears_only_when_it_has_happened(pipeline: Pipeline) -> None:
    """A counter that begins with 1 has never risen, as far as Prometheus can tell."""
    families = scrape(pipeline)
    assert labels(families["peoplestream_frames_dropped"], "reason", "lobby") == set(REASONS)
    assert labels(families["peoplestream_source_faults"], "kind", "lost") == set(get_args(Fault))
    assert labels(families["peoplestream_decode_fallbacks"], "kind", "lobby") == set(get_args(Fallback))
    assert labels(families["peoplestream_put_off"], "work", "lobby") == {"detections", "keypoints", "masks"}
    assert labels(families["peoplestream_fps"], "direction", "lobby") == {"in", "out"}


def test_the_faults_of_a_feed_are_not_counted_by_their_kind(pipeline: Pipeline) -> None:
    faults = {sample.labels["kind"]: sample.value for sample in scrape(pipeline)["peoplestream_source_faults"].samples}
    assert faults.pop("refused") >= 1 and not any(faults.values())


def test_a_dropped_frame_is_not_counted_by_its_reason(pipeline: Pipeline) -> None:
    pipeline.pause("lobby")
    eventually(lambda: pipeline.streams["lobby"].dropped.get("paused", 0) > 2)
    drops = {
        sample.labels["reason"]: sample.value
        for sample in scrape(pipeline)["peoplestream_frames_dropped"].samples
        if sample.labels["stream"] == "lobby"
    }
    pipeline.resume("lobby")
    assert drops["paused"] > 2 and drops["late"] == 0


def test_a_backend_that_does_not_serve_is_not_told_of() -> None:
    refused = ("cuda: this machine has no NVIDIA driver", "openvino bfloat16: outputs differ by 0.2: too much")
    choice = Choice("torch", "float32", "cpu", "asked for torch", refused, 0.0)
    info, told = _networks({"pose": choice})
    assert [sample.labels for sample in info.samples] == [
        {"network": "pose", "backend": "torch", "precision": "float32", "device": "cpu"}
    ]
    assert [(sample.labels["backend"], sample.labels["reason"]) for sample in told.samples] == [
        ("cuda", "this machine has no NVIDIA driver"),
        ("openvino bfloat16", "outputs differ by 0.2: too much"),
    ]
