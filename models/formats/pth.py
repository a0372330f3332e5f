"""The tensors of a PyTorch checkpoint (`.pth`, `.pt`), read without running anything that the file asks for.

A checkpoint is a pickle, and a pickle is a program. Training frameworks also pickle their own classes beside the
tensors (log histories, configurations), so `torch.load(weights_only=True)` refuses many published files. Here an
unpickler knows how to rebuild tensors and ordered dictionaries; every other name becomes an inert stub that swallows
what it is given. No function or class of any other module is ever looked up.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch

from models.errors import CheckpointError

_DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_HOSTILE_MODULES = frozenset(
    {"os", "posix", "nt", "sys", "subprocess", "shutil", "socket", "ctypes", "importlib", "runpy", "pty", "pickle"}
)
_HOSTILE_BUILTINS = frozenset({"eval", "exec", "compile", "open", "__import__"})
_STATE_KEYS = ("state_dict", "model", "model_state_dict")
_WRAPPERS = ("module.", "model.")


def read(path: Path) -> dict[str, torch.Tensor]:
    """The parameters and buffers in the checkpoint at `path`, by name, on the CPU.

    Accepts zip files (PyTorch 1.6 and later) and the older format. Of a training checkpoint only the network's state is
    returned, under the names that the network itself gives: prefixes of wrappers (`module.`, `model.`) are stripped,
    `keypoint_head.` (mmpose 0.x) becomes `head.`; running copies (`ema_`) beside the plain tensors, step counters, the
    loss and the data preprocessor are left out.

    Raises:
        CheckpointError: the file is truncated, of another format, holds no tensors, or asks to run code.
        OSError: the file cannot be opened.
    """
    file = io.BytesIO(path.read_bytes())
    try:
        content = _read_zip(file) if zipfile.is_zipfile(file) else _read_legacy(file)
        return _clean(_state(content))
    except CheckpointError as error:
        raise CheckpointError(f"{path} is refused: {error}") from None
    except Exception as error:  # a damaged pickle can fail in any way
        why = f"{type(error).__name__}: {error}"
        raise CheckpointError(
            f"{path} is not a whole PyTorch checkpoint ({why}); delete it and fetch it again"
        ) from error


class _Stub:
    """Stands for an object of a class that is of no use here: takes whatever the pickle gives it, and does nothing."""

    def __new__(cls, *_args: object, **_kwargs: object) -> _Stub:
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None: ...

    def __call__(self, *_args: object, **_kwargs: object) -> _Stub:
        return self

    def __setstate__(self, _state: object) -> None: ...

    def __setitem__(self, _key: object, _value: object) -> None: ...

    def append(self, _item: object) -> None: ...

    def extend(self, _items: object) -> None: ...


class _Unpickler(pickle._Unpickler, ABC):
    """Rebuilds tensors from storages that `storage(key, dtype, length)` hands out.

    It is Python's own in Python: the one in C, and the opcode left out here, set memory aside as the file says.
    """

    dispatch: ClassVar = {
        code: load for code, load in pickle._Unpickler.dispatch.items() if code != pickle.BYTEARRAY8[0]
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return self._rebuild_tensor
        if module == "torch._utils" and name == "_rebuild_parameter":
            return self._rebuild_parameter
        hostile = module.partition(".")[0] in _HOSTILE_MODULES
        if hostile or (module in ("builtins", "__builtin__") and name in _HOSTILE_BUILTINS):
            raise CheckpointError(f"it asks to run {module}.{name}, which no weights need; nothing of it was run")
        return type("_Stub", (_Stub,), {})

    def persistent_load(self, pid: Any) -> torch.Tensor:
        _kind, dtype, key, _location, length, *_view = pid
        if _view and _view[0] is not None:
            raise CheckpointError("it holds storages that are views of others, a form of PyTorch before 0.4")
        return self.storage(str(key), dtype, length)

    @abstractmethod
    def storage(self, key: str, dtype: torch.dtype, length: int) -> torch.Tensor:
        """The `length` elements kept under `key`, as a flat tensor."""

    # Bound methods, not functions, are handed to the pickle: it can set no attribute of them.
    def _rebuild_tensor(
        self, storage: torch.Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_rest: object
    ) -> torch.Tensor:
        return torch.as_strided(storage, size, stride, offset)  # refuses what reaches beyond the storage

    def _rebuild_parameter(self, data: torch.Tensor, *_rest: object) -> torch.Tensor:
        return data


class _ZipUnpickler(_Unpickler):
    def __init__(self, archive: zipfile.ZipFile, prefix: str) -> None:
        self._archive, self._prefix = archive, prefix
        self._storages: dict[str, torch.Tensor] = {}
        super().__init__(io.BytesIO(self._member("data.pkl")), encoding="utf-8")

    def storage(self, key: str, dtype: torch.dtype, length: int) -> torch.Tensor:
        if key not in self._storages:
            self._storages[key] = _flat(self._member(f"data/{key}"), dtype, length)
        return self._storages[key]

    def _member(self, name: str) -> bytes:
        info = self._archive.getinfo(self._prefix + name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise CheckpointError("its members are compressed, which PyTorch never does")
        return self._archive.read(info)


class _LegacyUnpickler(_Unpickler):
    """Hands out empty storages, which `fill` reads from behind the pickles."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, encoding="utf-8")
        self._file = file
        self._storages: dict[str, torch.Tensor] = {}

    def storage(self, key: str, dtype: torch.dtype, length: int) -> torch.Tensor:
        if key not in self._storages:
            if length * dtype.itemsize > len(self._file.getbuffer()):
                raise ValueError(f"storage {key} is larger than the file")
            self._storages[key] = torch.empty(length, dtype=dtype)
        return self._storages[key]

    def fill(self, keys: list[str]) -> None:
        if sorted(keys) != sorted(self._storages):
            raise ValueError("other storages are listed than used")
        for key in keys:
            storage = self._storages[key]
            (length,) = struct.unpack("<q", self._file.read(8))
            storage.copy_(_flat(self._file.read(len(storage) * storage.itemsize), storage.dtype, length))


def _flat(raw: bytes, dtype: torch.dtype, length: int) -> torch.Tensor:
    if len(raw) != length * dtype.itemsize:
        raise ValueError(f"a storage has {len(raw)} bytes, not {length * dtype.itemsize}")
    return torch.frombuffer(bytearray(raw), dtype=dtype) if raw else torch.empty(0, dtype=dtype)


def _read_zip(file: io.BytesIO) -> Any:
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(pickles) != 1:
            raise ValueError("a zip without one data.pkl")
        prefix = pickles[0].removesuffix("data.pkl")
        if f"{prefix}byteorder" in archive.namelist() and archive.read(f"{prefix}byteorder") != b"little":
            raise CheckpointError("it was written on a big-endian machine; save it again on a little-endian one")
        return _ZipUnpickler(archive, prefix).load()


def _read_legacy(file: io.BytesIO) -> Any:
    """The format before PyTorch 1.6: magic, protocol, system, the object, the storages' keys, then their bytes."""
    file.seek(0)
    if _LegacyUnpickler(file).load() != _LEGACY_MAGIC:
        raise ValueError("it lacks PyTorch's mark")
    _protocol, _system = _LegacyUnpickler(file).load(), _LegacyUnpickler(file).load()
    unpickler = _LegacyUnpickler(file)
    content = unpickler.load()
    unpickler.fill(_LegacyUnpickler(file).load())
    return content


def _state(content: Any) -> dict[str, torch.Tensor]:
    """The tensors of the network's own state dictionary, found where the training frameworks put it."""
    if isinstance(content, Mapping):
        inner = next((content[key] for key in _STATE_KEYS if isinstance(content.get(key), Mapping)), content)
        state = {name: value.detach() for name, value in inner.items() if isinstance(value, torch.Tensor)}
        if state:
            return state
    raise CheckpointError("it holds no dictionary of tensors")


def _clean(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for wrapper in _WRAPPERS:
        if all(name.startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): value for name, value in state.items()}
    # Before mmengine the running averages were buffers beside the parameters, and swapped with them before saving.
    plain = {name: value for name, value in state.items() if not name.startswith("ema_")}
    state = plain or {name.removeprefix("ema_"): value for name, value in state.items()}
    state = {_renamed(name): value for name, value in state.items()}
    return {name: value for name, value in state.items() if not _is_training_only(name)}


def _renamed(name: str) -> str:
    return f"head.{name.removeprefix('keypoint_head.')}" if name.startswith("keypoint_head.") else name


def _is_training_only(name: str) -> bool:
    return name.startswith(("data_preprocessor.", "head.loss_")) or name.endswith("num_batches_tracked")
