"""`peoplestream keys`: pairs are made, clients are let in, and no secret is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.cli.app import app
from stream.cli.errors import ExitCode, exit_code
from stream.wire import KeyFolder, Publisher, SecurityError
from stream.wire.keys import key_pair


def keys(folder: Path, *words: str) -> str:
    done = CliRunner().invoke(app, ["keys", *words, "--dir", str(folder)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_keys_that_were_made_are_not_listed_or_their_secrets_are(tmp_path: Path) -> None:
    said = keys(tmp_path, "create", "server") + keys(tmp_path, "create", "viewer")
    said += keys(tmp_path, "allow", "wall", str(tmp_path / "viewer.key")) + keys(tmp_path, "list")
    listed = json.loads(keys(tmp_path, "list", "--json"))
    folder = KeyFolder(tmp_path)
    viewer = key_pair(tmp_path / "viewer.key_secret")
    assert listed["pairs"] == {"server": folder.server().public, "viewer": viewer.public}
    assert listed["clients"] == {"wall": viewer.public}
    assert viewer.public in said and "wall" in said
    assert viewer.secret not in said and folder.server().secret not in said


def test_a_folder_without_keys_does_not_say_how_to_make_them(tmp_path: Path) -> None:
    assert "peoplestream keys create server" in keys(tmp_path, "list")


def test_an_open_door_is_taken_for_a_failure_of_ours() -> None:
    with pytest.raises(SecurityError) as caught:
        Publisher("tcp://*:0")
    assert exit_code(caught.value) == ExitCode.USAGE
