"""What `from stream import ...` gives, as the documentation writes it."""

from __future__ import annotations

import pytest

import stream


@pytest.mark.parametrize("name", [*stream.__all__, "ConfigError"])
def test_a_public_name_cannot_be_imported(name: str) -> None:
    assert name in stream.__all__ and getattr(stream, name).__name__ == name
