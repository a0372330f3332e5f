"""Reading PyTorch checkpoints: tensors come out, and nothing that the file asks for is run."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import tracemalloc
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from models.errors import CheckpointError
from models.formats import pth

Save = Callable[..., Path]


@pytest.fixture(params=[True, False], ids=["zip", "legacy"])
def save(request: pytest.FixtureRequest, tmp_path: Path) -> Save:
    """Saves an object as PyTorch does, in the present and in the older format."""

    def save(content: object, name: str = "net.pth") -> Path:
        path = tmp_path / name
        torch.save(content, path, _use_new_zipfile_serialization=request.param)
        return path

    return save


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def expected() -> dict[str, torch.Tensor]:
    return {name: value for name, value in network().state_dict().items() if "num_batches" not in name}


def same(read: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return read.keys() == wanted.keys() and all(torch.equal(read[name], wanted[name]) for name in wanted)


class History:
    """Like the log histories that training frameworks pickle: a class of theirs, with methods in its state."""

    def __init__(self) -> None:
        self.values = np.zeros(3)
        self.best = History.smallest

    def smallest(self) -> float:
        raise AssertionError("a method of a class in the file was run")

    def __setstate__(self, state: object) -> None:
        raise AssertionError("a class in the file was restored")


class Registry(list[int]):
    """A list of its own kind, whose items the pickle appends."""

    def append(self, _item: int) -> None:
        raise AssertionError("a method of a class in the file was run")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "meta": {"epoch": 3}},
        lambda state: {"model": state, "optimizer": {"lr": torch.zeros(1)}},
    ],
    ids=["bare", "OpenMMLab", "Megvii"],
)
def test_the_state_of_the_network_is_found_where_the_frameworks_put_it(save: Save, wrap: Callable[..., Any]) -> None:
    assert same(pth.read(save(wrap(network().state_dict()))), expected())


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model."])
def test_prefixes_of_wrappers_are_stripped(save: Save, prefix: str) -> None:
    state = OrderedDict((prefix + name, value) for name, value in network().state_dict().items())
    assert same(pth.read(save({"state_dict": state})), expected())


def test_a_part_of_the_network_called_model_keeps_its_name(save: Save) -> None:
    assert pth.read(save({"model.weight": torch.ones(1), "head.weight": torch.ones(1)})).keys() == {
        "model.weight",
        "head.weight",
    }


def test_names_of_old_mmpose_heads_are_translated(save: Save) -> None:
    assert pth.read(save({"keypoint_head.final.weight": torch.ones(1)})).keys() == {"head.final.weight"}


def test_what_only_training_needs_is_left_out(save: Save) -> None:
    names = ("backbone.w", "ema_backbone_w", "data_preprocessor.mean", "head.loss_cls.weight", "bn.num_batches_tracked")
    assert pth.read(save({name: torch.ones(1) for name in names})).keys() == {"backbone.w"}


def test_running_averages_alone_are_the_network(save: Save) -> None:
    assert pth.read(save({"ema_w": torch.ones(1)})).keys() == {"w"}


def test_classes_of_a_training_framework_beside_the_tensors_do_no_harm(save: Save) -> None:
    logs = {
        "history": History(),
        "registry": Registry([1, 2]),
        "value": np.float64(0.5),
        "array": np.arange(3),
        "groups": defaultdict(list, a=[1]),
        "path": Path("somewhere"),
        "dtype": torch.float16,
    }
    assert same(pth.read(save({"state_dict": network().state_dict(), "message_hub": logs})), expected())


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool],
)
def test_every_type_of_number_keeps_its_values(save: Save, dtype: torch.dtype) -> None:
    value = torch.tensor([[0, 1], [1, 0]]).to(dtype)
    read = pth.read(save({"w": value}))["w"]
    assert read.dtype == dtype
    assert torch.equal(read, value)


def test_views_scalars_and_empty_tensors_keep_their_shape(save: Save) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    state = {"t": whole.T, "row": whole[1], "scalar": torch.tensor(2.0), "none": torch.zeros(0, 3)}
    assert same(pth.read(save(state)), state)


def test_parameters_come_without_gradients_and_hooks(save: Save) -> None:
    read = pth.read(save({"w": nn.Parameter(torch.ones(2))}))["w"]
    assert type(read) is torch.Tensor
    assert not read.requires_grad


class Hostile:
    """A pickle that runs `function(*arguments)` when an ordinary unpickler loads it."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def test_a_file_that_wants_to_run_a_command_is_refused_and_the_command_is_not_run(save: Save, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    path = save({"state_dict": network().state_dict(), "meta": Hostile(os.system, f"touch {trace}")})
    with pytest.raises(CheckpointError, match=r"net\.pth is refused: it asks to run posix\.system, .* nothing of it"):
        pth.read(path)
    assert not trace.exists()


@pytest.mark.parametrize("function", [eval, exec])
def test_a_file_that_wants_to_run_python_is_refused_and_it_is_not_run(
    save: Save, tmp_path: Path, function: Callable[..., object]
) -> None:
    trace = tmp_path / "trace"
    path = save({"w": torch.ones(1), "x": Hostile(function, f"open({str(trace)!r}, 'w')")})
    with pytest.raises(CheckpointError, match=r"it asks to run __builtin__\.(eval|exec)"):
        pth.read(path)
    assert not trace.exists()


def test_a_function_of_an_unsuspicious_module_is_not_run_either(save: Save, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text("here")
    assert pth.read(save({"w": torch.ones(1), "x": Hostile(Path.unlink, trace)})).keys() == {"w"}
    assert trace.exists()


def test_a_name_that_is_looked_up_from_a_string_is_not_run_either(tmp_path: Path) -> None:
    """Protocol 4 takes module and name from the stack, where a scan for GLOBAL does not see them."""
    trace = tmp_path / "trace"
    body = pickle.dumps({"w": Hostile(os.system, f"touch {trace}")}, protocol=4)
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.writestr("net/data.pkl", body)
    with pytest.raises(CheckpointError, match=r"it asks to run posix\.system"):
        pth.read(tmp_path / "net.pth")
    assert not trace.exists()


def test_a_file_cannot_change_how_later_files_are_read(tmp_path: Path, save: Save) -> None:
    """BUILD sets attributes of what is on the stack, which may be one of the reader's own functions."""
    body = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(N}X\x0c\x00\x00\x00__defaults__(K\x01tstb."
    with zipfile.ZipFile(tmp_path / "hostile.pth", "w") as archive:
        archive.writestr("net/data.pkl", body)
    with pytest.raises(CheckpointError):
        pth.read(tmp_path / "hostile.pth")
    assert same(pth.read(save(network().state_dict())), expected())


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    torch.save({"w": torch.arange(4.0)}, content)
    changed = tmp_path / "net.pth"
    with zipfile.ZipFile(content) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            # The size of the tensor is the only tuple of one four in the pickle.
            target.writestr(name, data.replace(b"K\x04\x85", b"K\x40\x85") if name.endswith("data.pkl") else data)
    with pytest.raises(CheckpointError, match="not a whole PyTorch checkpoint"):
        pth.read(changed)


def test_a_few_bytes_cannot_make_the_reader_set_much_memory_aside(tmp_path: Path) -> None:
    """LONG_BINPUT puts an object at any index of the memo, which in C is an array."""
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.writestr("net/data.pkl", b"\x80\x02}r\x00\x00\x00\x01.")
    tracemalloc.start()
    with pytest.raises(CheckpointError, match="no dictionary of tensors"):
        pth.read(tmp_path / "net.pth")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_compressed_checkpoint_which_may_unpack_to_anything_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", pickle.dumps({}, protocol=2))
    with pytest.raises(CheckpointError, match="its members are compressed"):
        pth.read(tmp_path / "net.pth")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused_with_its_name(save: Save, share: float) -> None:
    path = save(network().state_dict())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"net\.pth is not a whole PyTorch checkpoint .* fetch it again"):
        pth.read(path)


@pytest.mark.parametrize("content", [b"", b"<html>log in first</html>", b"\x80\x02K\x05.", bytes(500)])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "foreign.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match="not a whole PyTorch checkpoint"):
        pth.read(tmp_path / "foreign.pth")


def test_a_zip_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as archive:
        archive.writestr("readme", "hello")
    with pytest.raises(CheckpointError, match=r"a zip without one data\.pkl"):
        pth.read(tmp_path / "other.pth")


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], {"state_dict": {}}])
def test_a_checkpoint_without_tensors_is_refused(save: Save, content: object) -> None:
    with pytest.raises(CheckpointError, match="it holds no dictionary of tensors"):
        pth.read(save(content))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 5000), byte=st.integers(0, 255))
def test_a_damaged_byte_never_ends_in_another_error(save: Save, place: int, byte: int) -> None:
    path = save(network().state_dict())
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    path.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        pth.read(path)
