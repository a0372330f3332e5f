"""The rooms of the networks, as packages."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

import pytest

from models import detect, joint, pose, segment


@pytest.mark.parametrize("room", [detect, pose, segment, joint], ids=lambda room: room.__name__)
def test_a_function_hides_the_module_of_the_same_name(room: ModuleType) -> None:
    for module in iter_modules(room.__path__):
        assert import_module(f"{room.__name__}.{module.name}") is getattr(room, module.name), module.name


@pytest.mark.parametrize("room", [detect, pose, segment, joint], ids=lambda room: room.__name__)
def test_a_public_name_does_not_exist(room: ModuleType) -> None:
    assert all(hasattr(room, name) for name in room.__all__)
