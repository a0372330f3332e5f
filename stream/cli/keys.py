"""`peoplestream keys`: key pairs for encrypted connections, and the list of clients who may come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import platformdirs
import typer

from stream.wire import KeyFolder

keys_app = typer.Typer(
    help="Make key pairs, and say which clients may connect.",
    epilog="A server needs a pair called `server`, a list of clients, and security.keys=FOLDER in its configuration.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Option("--dir", metavar="FOLDER", help="Where the keys are.")]
_FOLDER = platformdirs.user_config_path("peoplestream") / "keys"


@keys_app.command()
def create(
    name: Annotated[str, typer.Argument(help="`server` for the publisher, any other name for a client.")],
    folder: Folder = _FOLDER,
) -> None:
    """Make a key pair: NAME.key_secret, which stays yours, and NAME.key, which the other side needs."""
    secret = KeyFolder(folder).create(name)
    typer.echo(f"secret: {secret} (keep it; only you can read it)")
    typer.echo(f"public: {secret.with_suffix('.key')} (give it to the other side)")


@keys_app.command()
def allow(
    name: Annotated[str, typer.Argument(help="What to call this client.")],
    key: Annotated[str, typer.Argument(help="Its public key, or its .key file.")],
    folder: Folder = _FOLDER,
) -> None:
    """Let a client in, from its next connection on."""
    file = KeyFolder(folder).allow(name, key)
    typer.echo(f"{name} may connect to a server with the keys of {folder}; to take it back, delete {file}")


@keys_app.command("list")
def list_(
    folder: Folder = _FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the public keys of your pairs and of the clients who may come in."""
    keys = KeyFolder(folder)
    pairs, clients = keys.pairs(), keys.clients()
    if as_json:
        typer.echo(json.dumps({"dir": str(folder), "pairs": pairs, "clients": clients}))
        return
    if not pairs:
        typer.echo(f"{folder} has no keys yet: make some with `peoplestream keys create server`")
    for kind, found in (("pair", pairs), ("client", clients)):
        for name, public in found.items():
            typer.echo(f"{kind:<7} {name:<20} {public}")
