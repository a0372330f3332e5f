"""An engine is taken from disk only if it is the one asked for, and whole; several processes may share the disk."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

import filelock
import pytest

from models.backends import cache
from models.backends.cache import SIDECAR, Engine, EngineCache, EngineKey, Record, code_fingerprint

CONTENT = bytes(range(256)) * 400
KEY = EngineKey({"weights": "ab" * 32, "network": "net", "shapes": [[4, 64, 64, 3]], "precision": "float16"})
PROCESSES = multiprocessing.get_context("spawn")


def build(folder: Path) -> dict[str, Any]:
    (folder / "engine.bin").write_bytes(CONTENT)
    (folder / "parts").mkdir()
    (folder / "parts" / "shapes.txt").write_text("4 64 64 3")
    return {"operators": 7}


def never(folder: Path) -> dict[str, Any]:
    raise AssertionError("it was in the cache")


def built(folder: Path) -> Engine:
    return EngineCache(folder).get_or_build("detector", KEY, build)


def is_whole(engine: Engine) -> bool:
    return (engine.folder / "engine.bin").read_bytes() == CONTENT and engine.facts == {"operators": 7}


def folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def edit_sidecar(engine: Engine, **changes: object) -> None:
    path = engine.folder / SIDECAR
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_engine_is_built_a_second_time(tmp_path: Path) -> None:
    first = built(tmp_path)
    again = EngineCache(tmp_path).get_or_build("detector", KEY, never)
    assert first.fresh and not again.fresh
    assert again.folder == first.folder
    assert is_whole(first) and is_whole(again)


def test_the_sidecar_does_not_tell_what_the_engine_is(tmp_path: Path) -> None:
    engine = built(tmp_path)
    (folder, record), *others = EngineCache(tmp_path).records()
    assert not others and folder == engine.folder
    assert isinstance(record, Record)
    assert record.name == "detector" and record.key == KEY.values and record.facts == {"operators": 7}
    assert record.files["engine.bin"]["bytes"] == len(CONTENT) and set(record.files) == {
        "engine.bin",
        "parts/shapes.txt",
    }
    assert record.seconds >= 0 and record.built_at.endswith("+00:00")


def truncate(engine: Engine) -> None:
    os.truncate(engine.folder / "engine.bin", 1000)


def flip_a_bit(engine: Engine) -> None:
    (engine.folder / "engine.bin").write_bytes(b"\xff" + CONTENT[1:])


def remove_a_file(engine: Engine) -> None:
    (engine.folder / "parts" / "shapes.txt").unlink()


def remove_the_sidecar(engine: Engine) -> None:
    (engine.folder / SIDECAR).unlink()


def truncate_the_sidecar(engine: Engine) -> None:
    os.truncate(engine.folder / SIDECAR, 40)


def empty_the_sidecar(engine: Engine) -> None:
    (engine.folder / SIDECAR).write_text("[]")


def forget_the_files(engine: Engine) -> None:
    edit_sidecar(engine, files={"engine.bin": 3})


def name_no_files(engine: Engine) -> None:
    edit_sidecar(engine, files={})


def forget_the_facts(engine: Engine) -> None:
    edit_sidecar(engine, facts=None)


def forget_the_key(engine: Engine) -> None:
    edit_sidecar(engine, key=None)


def take_the_sidecar_of_another(engine: Engine) -> None:
    edit_sidecar(engine, key=dict(KEY.values) | {"precision": "float32", "device": "another GPU"})


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "1000 bytes of 102400"),
        (flip_a_bit, "engine.bin is not what was built"),
        (remove_a_file, "shapes.txt cannot be read"),
        (remove_the_sidecar, "engine.json cannot be read"),
        (truncate_the_sidecar, "engine.json is damaged"),
        (empty_the_sidecar, "engine.json is damaged"),
        (forget_the_files, "engine.json is damaged"),
        (name_no_files, "engine.json is damaged"),
        (forget_the_facts, "engine.json is damaged"),
        (forget_the_key, "engine.json is damaged"),
        (take_the_sidecar_of_another, "built for another device, precision"),
    ],
)
def test_a_damaged_or_foreign_engine_is_loaded(
    damage: Callable[[Engine], None], reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(built(tmp_path))
    with caplog.at_level(logging.WARNING):
        assert EngineCache(tmp_path).get("detector", KEY) is None
    assert reason in caplog.text
    again = built(tmp_path)
    assert again.fresh and is_whole(again)
    assert EngineCache(tmp_path).get("detector", KEY) is not None


def test_an_engine_that_was_copied_from_another_machine_is_loaded(tmp_path: Path) -> None:
    other = EngineKey(dict(KEY.values) | {"device": "another GPU"})
    foreign = EngineCache(tmp_path / "theirs").get_or_build("detector", other, build)
    ours = built(tmp_path / "ours").folder
    shutil.rmtree(ours)
    shutil.copytree(foreign.folder, ours)
    assert EngineCache(tmp_path / "ours").get("detector", KEY) is None


def test_an_engine_that_another_process_removes_meanwhile_costs_the_new_one(tmp_path: Path) -> None:
    gone = tmp_path / f"detector-{16 * '0'}"
    gone.mkdir()
    (gone / SIDECAR).symlink_to("nowhere")  # its name is found, but there is nothing to ask any more
    assert built(tmp_path).folder.parent == tmp_path


def test_engines_of_one_name_push_each_other_out(tmp_path: Path) -> None:
    store = EngineCache(tmp_path)
    other = EngineKey(dict(KEY.values) | {"precision": "float32"})
    first, second = built(tmp_path), store.get_or_build("detector", other, build)
    assert second.fresh and first.folder != second.folder
    assert store.get("detector", KEY) is not None and store.get("detector", other) is not None


def test_engines_of_old_versions_fill_the_disk_or_those_in_use_are_removed(tmp_path: Path) -> None:
    store = EngineCache(tmp_path)
    in_use = built(tmp_path)
    store.get_or_build("detector-of-another-name", KEY, build)
    for number in range(cache.KEPT + 3):
        assert store.get("detector", KEY) is not None
        store.get_or_build("detector", EngineKey({"version": number}), build)
    left = [name for name in folders(tmp_path) if not name.startswith("detector-of-another-name")]
    assert len(left) == cache.KEPT and in_use.folder.name in left
    assert len(folders(tmp_path)) == cache.KEPT + 1
    assert store.get("detector", EngineKey({"version": number})) is not None


@pytest.mark.parametrize("name", ["masks/encoder", "../../outside", "a b"])
def test_a_name_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    engine = EngineCache(tmp_path).get_or_build(name, KEY, build)
    assert engine.folder.parent == tmp_path


def test_a_builder_that_fails_leaves_something_behind(tmp_path: Path) -> None:
    def fail(folder: Path) -> dict[str, Any]:
        (folder / "engine.bin").write_bytes(CONTENT)
        raise RuntimeError("no converter for aten::nonzero")

    with pytest.raises(RuntimeError, match="nonzero"):
        EngineCache(tmp_path).get_or_build("detector", KEY, fail)
    assert folders(tmp_path) == []
    assert built(tmp_path).fresh


def test_facts_that_cannot_be_written_leave_half_an_engine(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        EngineCache(tmp_path).get_or_build("detector", KEY, lambda folder: {"operators": {1, 2}})
    assert folders(tmp_path) == []


def test_a_cache_that_cannot_be_written_ends_the_run_or_is_silent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = tmp_path / "engines"
    in_the_way.write_text("a file")
    with caplog.at_level(logging.WARNING):
        engine = built(in_the_way)
    assert engine.fresh and is_whole(engine)
    assert "compiled for this run only" in caplog.text and "PEOPLESTREAM_CACHE" in caplog.text
    assert caplog.text.count("\n") == 1


def test_a_cache_that_can_only_be_read_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    assert not EngineCache(tmp_path).get_or_build("detector", KEY, never).fresh


def test_a_process_that_never_ends_building_stops_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cache, "_LOCK_TIMEOUT", 0.1)
    started, release = PROCESSES.Event(), PROCESSES.Event()
    stuck = PROCESSES.Process(target=build_until, args=(tmp_path, started, release))
    stuck.start()
    try:
        assert started.wait(60)
        with caplog.at_level(logging.WARNING):
            assert is_whole(built(tmp_path))
        assert "another process never ends building it" in caplog.text
    finally:
        release.set()
        stuck.join(60)
    assert stuck.exitcode == 0
    assert EngineCache(tmp_path).get("detector", KEY) is not None


def build_until(folder: Path, started: Event, release: Event) -> None:
    def slowly(target: Path) -> dict[str, Any]:
        facts = build(target)
        started.set()
        release.wait(60)
        return facts

    EngineCache(folder).get_or_build("detector", KEY, slowly)


def test_what_a_killed_builder_left_stays_or_is_an_obstacle(tmp_path: Path) -> None:
    started, release = PROCESSES.Event(), PROCESSES.Event()
    process = PROCESSES.Process(target=build_until, args=(tmp_path, started, release))
    process.start()
    assert started.wait(60)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    (left,) = folders(tmp_path)
    assert left.endswith(".part")
    other = EngineKey(dict(KEY.values) | {"precision": "float32"})
    EngineCache(tmp_path).get_or_build("pose", other, build)
    assert len(folders(tmp_path)) == 1, "what was left is of another engine, and still goes"
    assert is_whole(built(tmp_path))


def test_a_build_that_still_runs_is_swept_away_by_another(tmp_path: Path) -> None:
    started, release = PROCESSES.Event(), PROCESSES.Event()
    process = PROCESSES.Process(target=build_until, args=(tmp_path, started, release))
    process.start()
    assert started.wait(60)
    other = EngineKey(dict(KEY.values) | {"precision": "float32"})
    EngineCache(tmp_path).get_or_build("pose", other, build)
    release.set()
    process.join(60)
    assert process.exitcode == 0
    assert EngineCache(tmp_path).get("detector", KEY) is not None


def ask(folder: Path, together: Barrier, answers: Queue[tuple[bool, bool]]) -> None:
    def slowly(target: Path) -> dict[str, Any]:
        with (folder.parent / "builds.txt").open("a") as tally:
            tally.write("built\n")
        time.sleep(0.3)
        return build(target)

    together.wait(60)
    engine = EngineCache(folder).get_or_build("detector", KEY, slowly)
    answers.put((engine.fresh, is_whole(engine)))


def test_two_processes_build_the_same_engine_twice(tmp_path: Path) -> None:
    together, answers = PROCESSES.Barrier(3), PROCESSES.Queue()
    processes = [PROCESSES.Process(target=ask, args=(tmp_path / "engines", together, answers)) for _ in range(3)]
    for process in processes:
        process.start()
    results = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert (tmp_path / "builds.txt").read_text() == "built\n"
    assert sorted(results) == [(False, True), (False, True), (True, True)]


def test_the_order_of_a_key_or_the_kind_of_its_lists_matters() -> None:
    values = dict(reversed(list(KEY.values.items()))) | {"shapes": ((4, 64, 64, 3),)}
    assert EngineKey(values).digest == KEY.digest
    assert EngineKey(values) == KEY


@pytest.mark.parametrize("value", [float("nan"), Path("a"), {1}])
def test_a_key_holds_what_a_sidecar_cannot(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        EngineKey({"threshold": value})


def test_a_key_changes_after_it_was_made() -> None:
    shapes = [4, 64]
    key = EngineKey({"shapes": shapes})
    before = key.digest
    shapes.append(3)
    assert key.digest == before


def test_the_fingerprint_is_another_at_every_call() -> None:
    assert code_fingerprint() == code_fingerprint()
    assert len(code_fingerprint()) == 64


def test_the_engines_are_not_kept_beside_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEOPLESTREAM_CACHE", str(tmp_path))
    assert EngineCache().folder == tmp_path / "engines"


def test_finding_an_engine_imports_torch() -> None:
    script = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('cache', {cache.__file__!r})\n"
        "module = sys.modules['cache'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "module.EngineCache()\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
