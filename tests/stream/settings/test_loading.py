"""What people get wrong in configurations, and what they are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stream.config import Config, ConfigError
from stream.settings import load_config

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes run.yaml beside a file lobby.mp4."""
    (tmp_path / "lobby.mp4").write_bytes(b"x")

    def write_file(text: str) -> Path:
        (tmp_path / "run.yaml").write_text(text)
        return tmp_path / "run.yaml"

    return write_file


def problems(path: Path | None = None, *overrides: str) -> list[str]:
    """What is wrong, one line each, with the bare name of the file."""
    with pytest.raises(ConfigError) as failure:
        load_config(path, overrides)
    lines = str(failure.value).split("\n")
    assert len(lines) == len(failure.value.problems), "every problem must be one line"
    return [line.replace(f"{path.parent}/", "") if path else line for line in lines]


def test_nothing_at_all_means_the_defaults() -> None:
    assert load_config() == Config()


@pytest.mark.parametrize("text", ["", "# nothing\n", "decode:\n", "streams:\nbatch:\n  # size: 4\nthreads:\n"])
def test_a_file_or_section_with_everything_commented_out_means_the_defaults(write: Write, text: str) -> None:
    assert load_config(write(text)) == Config()


def test_an_unknown_key_is_told_with_its_line_and_what_was_probably_meant(write: Write) -> None:
    assert problems(write("batch:\n  size: 2\n  deadline: 5\n")) == [
        "run.yaml:3: batch.deadline: unknown key; did you mean batch.deadline_ms?"
    ]


def test_a_key_in_the_wrong_section_is_sent_to_the_right_one(write: Write) -> None:
    assert problems(write("score: 0.3\n")) == ["run.yaml:1: score: unknown key; did you mean detector.score?"]


def test_an_unknown_key_like_no_other_lists_those_there_are(write: Write) -> None:
    assert problems(write("batch: {xyz: 3}\n")) == [
        "run.yaml:1: batch.xyz: unknown key; known are size, deadline_ms, max_latency_ms, budget_ms"
    ]


def test_a_misspelt_section_is_found_even_when_it_is_empty(write: Write) -> None:
    assert problems(write("decod:\n")) == ["run.yaml:1: decod: unknown key; did you mean decode?"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("threads: two", "threads: must be a whole number, but is the text 'two'"),
        ("threads: '2'", "threads: must be a whole number, but is the text '2'"),
        ("threads: 1.5", "threads: must be a whole number, but is 1.5"),
        ("threads: true", "threads: must be a whole number, but is true"),
        ("threads: -1", "threads: must be greater than or equal to 0, but is -1"),
        ("batch: 3", "batch: must be a section of options, but is 3"),
        ("batch: [3]", "batch: must be a section of options, but is a list"),
        ("streams: lobby.mp4", "streams: must be a list, but is the text 'lobby.mp4'"),
        ("batch: {deadline_ms: .inf}", "batch.deadline_ms: must be a finite number, but is inf"),
        ("detector: {height: 481}", "detector.height: must be a multiple of 32, but is 481"),
        ("detector: {score: 1.2}", "detector.score: must be less than or equal to 1, but is 1.2"),
        ("detector: {model: 3}", "detector.model: must be text, but is 3"),
        (
            "pose: {backend: openvin}",
            "pose.backend: must be 'auto', 'tensorrt', 'tensorrt-rtx', 'cuda', 'openvino' or 'torch', but is the text "
            "'openvin'; did you mean openvino?",
        ),
        ("streams: [{id: a}]", "streams.0.source: is missing"),
        ("streams: [{id: no, source: testpattern://64x48@25}]", "streams.0.id: must be text, but is false"),
        ("streams: [{id: a, source: ''}]", "streams.0.source: must have at least 1 character, but is the text ''"),
        (
            "streams: [{id: a b, source: testpattern://64x48@25}]",
            "streams.0.id: must be 1 to 200 letters, digits, dots, underscores and hyphens, but is the text 'a b'",
        ),
        (
            "pose: {model: null}",
            "masks.model: is placed by keypoints: give pose.model, or set masks.model to null as well",
        ),
    ],
)
def test_a_wrong_value_is_told_with_what_it_must_be_and_what_it_is(write: Write, line: str, message: str) -> None:
    (problem,) = problems(write(line + "\n"))
    assert problem.removeprefix("run.yaml:1: ") == message


def test_everything_that_is_wrong_is_told_at_once_in_the_order_of_the_file(write: Write) -> None:
    text = (
        "threads: x\nstreams:\n  - id: a\n    source: loby.mp4\n    pace: fats\nbatch:\n  size: 0\n  size: 0\nfoo: 1\n"
    )
    found = problems(write(text), "decode.thread=2", "nonsense")
    assert [problem.split(": ")[0] for problem in found] == [
        "run.yaml:1", "run.yaml:4", "run.yaml:5", "run.yaml:8", "run.yaml:8", "run.yaml:9",
        "--set nonsense", "--set decode.thread=2",
    ]  # fmt: skip


def test_what_spans_options_is_told_a_round_after_the_rest(write: Write) -> None:
    text = (
        "streams:\n  - {id: a, source: lobby.mp4, region: [[0, 0], [0, 2], [1, 1]]}\n  - {id: a, source: lobby.mp4}\n"
        "  - 7\n  - {id: b, source: lobby.mp4}\n  - {id: b, source: ''}\n  - {id: c d, source: lobby.mp4}\n"
        "pose: {model: null, backend: openvin}\ndetector: {score: 3}\nthreads: x\nfoo: 1\n"
    )
    assert [problem.split(": ")[:2] for problem in problems(write(text))] == [
        ["run.yaml:1", "masks.model"],
        ["run.yaml:2", "streams.0.region.1.1"], ["run.yaml:3", "streams.1.id"], ["run.yaml:4", "streams.2"],
        ["run.yaml:6", "streams.4.source"], ["run.yaml:6", "streams.4.id"], ["run.yaml:7", "streams.5.id"],
        ["run.yaml:8", "pose.backend"], ["run.yaml:9", "detector.score"], ["run.yaml:10", "threads"],
        ["run.yaml:11", "foo"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("record: {segment_seconds: x, keep_segments: 3}", "record.segment_seconds"),
        ("{pose: {model: null}, masks: {model: 3}}", "masks.model"),
        ("1: x", "1"),
        ("streams: [{1: x, id: a, source: lobby.mp4}]", "streams.0.1"),
        ("{publish: {wait_seconds: x}, control: {endpoint: tcp://127.0.0.1:1}}", "publish.wait_seconds"),
    ],
)
def test_one_mistake_is_told_as_two(write: Write, line: str, key: str) -> None:
    (problem,) = problems(write(line + "\n"))
    assert problem.startswith(f"run.yaml:1: {key}: ")


@pytest.mark.parametrize("section", ["publish", "control"])
@pytest.mark.parametrize(
    "endpoint", ["localhost:5555", "http://a:80", "tcp://", "tcp://a", "tcp://a:65536", "tcp://a:b", "ipc://", ""]
)
def test_what_is_no_endpoint_is_noticed_only_by_the_run(write: Write, section: str, endpoint: str) -> None:
    says = f"{section}.endpoint: must be like tcp://127.0.0.1:5555 or ipc:///run/people.sock, but is the text "
    assert problems(write(f"{section}:\n  endpoint: '{endpoint}'\n")) == [f"run.yaml:2: {says}{endpoint!r}"]
    override = f"{section}.endpoint='{endpoint}'"
    assert problems(None, override) == [f"--set {override}: {says}{endpoint!r}"]


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://127.0.0.1:5555", "tcp://*:0", "tcp://[::1]:*", "tcp://eth0:1", "ipc:///run/a b.sock", "ipc://@x"],
)
def test_an_endpoint_is_refused(endpoint: str) -> None:
    overrides = [f"publish.endpoint='{endpoint}'", "security.insecure=true"]
    assert load_config(overrides=overrides).publish.endpoint == endpoint


@pytest.mark.parametrize("source", ["testpattern://foo", "testpattern://9x9@25", "testpattern://64x48@25?frames=0"])
def test_a_test_pattern_that_is_none_is_noticed_only_by_the_run(write: Write, source: str) -> None:
    (problem,) = problems(write(f"streams:\n  - id: a\n    source: {source}\n"))
    assert problem.startswith(f"run.yaml:3: streams.0.source: {source}: ")


def test_a_file_in_place_of_the_folder_for_recordings_is_noticed_only_by_the_run(write: Write, tmp_path: Path) -> None:
    file = tmp_path / "lobby.mp4"
    says = f"record.dir: must be a folder, but {file} is a file"
    with pytest.raises(ConfigError) as failure:
        load_config(write(f"record:\n  dir: {file}\n"))
    assert str(failure.value) == f"{tmp_path}/run.yaml:2: {says}"
    assert problems(None, f"record.dir={file}") == [f"--set record.dir={file}: {says}"]


def test_a_folder_for_recordings_that_is_not_there_yet_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "new" / "one", tmp_path / ("x" * 300)):
        assert load_config(overrides=[f"record.dir={folder}"]).record.dir == str(folder)


def test_a_missing_file_is_told_with_its_line_and_its_neighbour(write: Write, tmp_path: Path) -> None:
    path = write("streams:\n  - id: a\n    source: loby.mp4\n")
    with pytest.raises(ConfigError) as failure:
        load_config(path)
    assert str(failure.value) == (
        f"{path}:3: streams.0.source: no such file or folder: {tmp_path}/loby.mp4; did you mean {tmp_path}/lobby.mp4?"
    )


def test_recordings_below_a_file_are_found_out_when_it_runs(write: Write, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    file = write(f"record:\n  dir: {tmp_path}/notes.txt/people/today\n")
    with pytest.raises(ConfigError) as failure:
        load_config(file)
    assert str(failure.value) == f"{file}:2: record.dir: must be a folder, but {tmp_path}/notes.txt is a file"
    assert load_config(write(f"record:\n  dir: {tmp_path}/new/folder\n")).record.dir == f"{tmp_path}/new/folder"


def test_an_unknown_model_and_one_of_another_role_are_told_with_their_lines(write: Write) -> None:
    found = problems(write("detector:\n  model: yolox-tini\npose:\n  model: blazepose-full\n"))
    assert [problem.split("; ")[0] for problem in found] == [
        "run.yaml:2: detector.model: the zoo has no detector called 'yolox-tini'",
        "run.yaml:4: pose.model: the zoo has no pose called 'blazepose-full'",
    ]
    assert "did you mean yolox-tiny" in found[0]


def test_the_second_stream_of_the_same_id_is_the_one_that_is_told(write: Write) -> None:
    text = "streams:\n  - {id: a, source: lobby.mp4}\n  - {id: b, source: lobby.mp4}\n  - {id: a, source: lobby.mp4}\n"
    assert problems(write(text)) == ["run.yaml:4: streams.2.id: must be another: a is taken"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n", "run.yaml:1: must be a mapping of options such as `streams:`, but is a list"),
        (b"hello\n", "run.yaml:1: must be a mapping of options such as `streams:`, but is the text 'hello'"),
        (b"\xff\xfe\xfa", "run.yaml: is not a text file (UTF-8)"),
        (b"threads: 1\nbatch: {", "run.yaml:2: not readable as YAML: "),
    ],
)
def test_a_file_that_is_no_configuration_is_one_line(write: Write, content: bytes, message: str) -> None:
    path = write("")
    path.write_bytes(content)
    (problem,) = problems(path)
    assert problem.startswith(message)


def test_a_missing_configuration_is_named_with_its_neighbour(write: Write) -> None:
    path = write("")
    (problem,) = problems(path.with_name("rum.yaml"))
    assert problem == "rum.yaml: no such file or folder: rum.yaml; did you mean run.yaml?"


def test_a_folder_in_place_of_a_file_is_one_line(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path)
    assert "cannot be read: Is a directory" in problem


def test_paths_in_a_file_start_at_its_folder(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("streams:\n  - {id: a, source: lobby.mp4}\n  - {id: b, source: testpattern://64x48@25}\n")
    monkeypatch.chdir("/")
    config = load_config(path, sources=["tmp.mp4"])
    assert [stream.source for stream in config.streams] == [
        str(tmp_path / "lobby.mp4"), "testpattern://64x48@25", "tmp.mp4",
    ]  # fmt: skip


def test_sources_of_the_same_name_get_ids_of_their_own(write: Write) -> None:
    config = load_config(
        write("streams: [{id: lobby, source: lobby.mp4}]"), sources=["a/lobby.mp4", "b/lobby.mkv", "c.mp4"]
    )
    assert [stream.id for stream in config.streams] == ["lobby", "lobby-2", "lobby-3", "c"]


def test_an_override_beats_the_file_and_mends_what_is_wrong_in_it(write: Write) -> None:
    path = write("threads: x\nbatch: {size: 2}\nstreams: [{id: a, source: gone.mp4}]\n")
    config = load_config(path, ["threads=3", "batch.size=8", "streams.0.source=testpattern://64x48@25", "masks.model="])
    assert (config.threads, config.batch.size, config.masks.model) == (3, 8, None)
    assert config.streams[0].source == "testpattern://64x48@25"


def test_an_override_reaches_the_streams_of_the_command_line() -> None:
    config = load_config(sources=["a.mp4", "b.mp4"], overrides=["streams.1.pace=realtime", "streams.1.fps=5"])
    assert [(stream.pace, stream.fps) for stream in config.streams] == [("fast", 0), ("realtime", 5)]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("nonsense", "--set nonsense: must look like section.option=value"),
        ("=3", "--set =3: must look like section.option=value"),
        ("batch..size=3", "--set batch..size=3: must look like section.option=value"),
        ("batch.size=[", "--set batch.size=[: not readable as YAML: "),
        ("batch.siz=3", "--set batch.siz=3: batch.siz: unknown key; did you mean batch.size?"),
        ("bach.size=3", "--set bach.size=3: bach: unknown key; did you mean batch?"),
        ("batch.size=x", "--set batch.size=x: batch.size: must be a whole number, but is the text 'x'"),
        ("batch.size.x=1", "--set batch.size.x=1: batch.size: must be a whole number, but is a section of options"),
        ("threads.x.y=1", "--set threads.x.y=1: threads: must be a whole number, but is a section of options"),
        ("streams.0.fps=1", "--set streams.0.fps=1: streams: must be a list, but is a section of options"),
    ],
)
def test_an_override_that_is_wrong_is_told_as_it_was_typed(override: str, message: str) -> None:
    (problem,) = problems(None, override)
    assert problem.startswith(message)


def test_an_override_of_a_stream_that_is_not_there_says_how_many_there_are(write: Write) -> None:
    path = write("streams: [{id: a, source: lobby.mp4}]\nthreads: 2\n")
    assert problems(path, "streams.1.fps=5", "threads.x=1") == [
        "--set streams.1.fps=5: streams: there is no entry 1; the first is 0 and there are 1",
        "--set threads.x=1: threads: is a single value and has no options",
    ]


def test_no_problem_holds_credentials(write: Write) -> None:
    path = write("streams:\n  - {id: a b, source: ['rtsp://me:hunter2@cam/1'], pace: 'rtsp://me:hunter2@cam/1'}\n")
    text = "\n".join(problems(path, "threads=rtsp://me:hunter2@cam/1", "rtsp://me:hunter2@cam/1"))
    assert text.count("rtsp://***@cam/1") == 4
    assert "hunter2" not in text


def test_a_configuration_that_is_printed_holds_no_credentials() -> None:
    config = load_config(sources=["rtsp://me:hunter2@cam/door"])
    assert "hunter2" not in repr(config) + str(config) + repr(config.streams[0])
    assert config.streams[0].id == "door"
