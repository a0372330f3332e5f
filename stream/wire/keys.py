"""Key pairs of CURVE, ZeroMQ's encryption, and the folder that holds them.

A folder of keys, kept by `peoplestream keys`:

    server.key_secret    the pair of the server: stays here, readable by its owner alone
    server.key           its public half, for the clients
    clients/viewer.key   the public key of a client who may come in

The files are ZeroMQ certificates (`zmq.auth`), as other ZeroMQ programs read and write them.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from stream.wire._fields import is_id

_log = logging.getLogger(__name__)

_Z85 = re.compile(r"[0-9A-Za-z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")
"""A key of 32 bytes as text (ZeroMQ RFC 32)."""

_OTHERS = 0o077
"""The permission bits of everybody but the owner."""


class SecurityError(ValueError):
    """Keys that cannot be used, or an address that must not be bound without; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A public key and the secret one that belongs to it, both as Z85 text; the secret is not in its `repr`."""

    public: str
    secret: str = field(repr=False)


class KeyFolder:
    """The folder described above; nothing is read or written before it is asked for."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"KeyFolder({str(self.path)!r})"

    def create(self, name: str) -> Path:
        """Make a pair, `name.key` and `name.key_secret`; returns the path of the secret file.

        Raises:
            SecurityError: there is a pair of this name, or it cannot be a name.
        """
        from zmq.auth import create_certificates

        secret = self.path / f"{_checked(name)}.key_secret"
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.path) as private:  # mode 700: nobody sees the secret before chmod
            created = [Path(file) for file in create_certificates(private, name)]
            for file, mode in zip(created, (0o644, 0o600), strict=True):
                file.chmod(mode)
            try:
                for file in reversed(created):
                    os.link(file, self.path / file.name)  # unlike a rename it never replaces a key
            except FileExistsError as error:
                raise SecurityError(
                    f"{error.filename2} exists: choose another name, or delete it if nobody uses it any more"
                ) from None
        return secret

    def allow(self, name: str, key: str | Path) -> Path:
        """Let a client in whose public key is `key`, text or a `.key` file; returns the file that says so.

        Deleting that file takes it back, for connections made from then on.

        Raises:
            SecurityError: it is no public key, or it cannot be a name.
        """
        public = public_key(key)
        file = self.path / "clients" / f"{_checked(name)}.key"
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(f'curve\n    public-key = "{public}"\n')
        return file

    def server(self) -> KeyPair:
        """The server's pair; raises `SecurityError` as `key_pair` does."""
        file = self.path / "server.key_secret"
        if not file.exists():
            make = f"peoplestream keys create server --dir {self.path}"
            raise SecurityError(f"{self.path} has no server.key_secret: make it with `{make}`")
        return key_pair(file)

    def pairs(self) -> dict[str, str]:
        """Name and public key of every pair in the folder."""
        return _public_keys(self.path)

    def clients(self) -> dict[str, str]:
        """Name and public key of every client who may come in."""
        return _public_keys(self.path / "clients")


def public_key(key: str | Path) -> str:
    """The public key that `key` is, or that the certificate file `key` holds.

    Raises:
        SecurityError: it is neither.
    """
    if isinstance(key, str) and _Z85.fullmatch(key):
        return key
    return _read(Path(key))[0]


def key_pair(path: str | Path) -> KeyPair:
    """The pair in a `.key_secret` file.

    Raises:
        SecurityError: it is not readable, holds no secret key, or others may read it.
    """
    public, secret = _read(Path(path))
    if secret is None:
        raise SecurityError(f"{path} holds no secret key: give the .key_secret file beside it")
    if os.name == "posix" and Path(path).stat().st_mode & _OTHERS:
        raise SecurityError(f"others on this machine may read {path}: change that with `chmod 600 {path}`")
    return KeyPair(public, secret)


def _checked(name: str) -> str:
    if not is_id(name):
        raise SecurityError(f"{name!r} cannot name a key: use 1 to 200 letters, digits, '.', '_' and '-'")
    return name


def _public_keys(folder: Path) -> dict[str, str]:
    """Those in the `.key` files of a folder; one that cannot be read lets nobody in, and is logged."""
    keys = {}
    for file in sorted(folder.glob("*.key")):
        try:
            keys[file.stem] = public_key(file)
        except SecurityError as error:
            _log.warning("%s", error)
    return keys


def _read(path: Path) -> tuple[str, str | None]:
    """The public key, and the secret one where there is one, of a certificate."""
    from zmq.auth import load_certificate

    try:
        public, secret = load_certificate(path)
        keys = public.decode(), None if secret is None else secret.decode()
    except OSError as error:
        raise SecurityError(f"cannot read the key {path}: {error.strerror or 'there is no such file'}") from None
    except ValueError:
        raise SecurityError(f"{path} is no key: `peoplestream keys create` makes .key and .key_secret files") from None
    if not all(key is None or _Z85.fullmatch(key) for key in keys):
        raise SecurityError(f"{path} is damaged: its keys do not have 40 characters")
    return keys
