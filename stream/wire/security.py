"""Who may listen and who may speak: one rule for every socket that this project binds.

A server binds through a `Guard`; all sockets of its context (results, replay, control) are then guarded alike:

    with Guard(context, Security(KeyFolder("keys"))) as guard:
        guard.bind("take commands at", socket, "tcp://0.0.0.0:5556")   # raises EndpointError, SecurityError

With keys the traffic is encrypted (CURVE) and every client must show a key that the folder allows (ZAP, ZeroMQ RFC
27); the folder is looked at anew for every connection. Without keys only this machine may connect: addresses other than
loopback and ipc are refused, unless `insecure` says otherwise, which it cannot where commands are taken. A client shows
its keys with

    connect("send commands to", socket, endpoint, Credentials.of(server_key, keys))
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import zmq

from stream.wire._endpoint import EndpointError, attach
from stream.wire.keys import KeyFolder, KeyPair, SecurityError, key_pair, public_key

if TYPE_CHECKING:
    from zmq.auth.thread import ThreadAuthenticator

_DOMAIN = "peoplestream"
"""A ZAP domain that is enforced lets nobody in while nobody answers for the list of clients."""


@dataclass(frozen=True, slots=True)
class Security:
    """How the sockets of a server are guarded.

    Attributes:
        keys: encrypt, and let in the clients of this folder alone; None: everybody who reaches the address.
        insecure: without keys, publish on addresses that other machines reach, too; commands are not taken there.
    """

    keys: KeyFolder | None = None
    insecure: bool = False


LOCAL = Security()
"""Not encrypted, for programs of this machine."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client needs to be let in: the public key of the server, and a pair of its own."""

    server: str
    own: KeyPair

    @staticmethod
    def of(server_key: str | Path | None, keys: KeyPair | str | Path | None) -> Credentials | None:
        """From a public key (text or `.key` file) and a pair (or `.key_secret` file); None where neither is given.

        Raises:
            SecurityError: one of them cannot be used, or is missing.
        """
        if server_key is None and keys is None:
            return None
        if server_key is None or keys is None:
            raise SecurityError("encryption needs both: the public key of the server, and a key pair of your own")
        return Credentials(public_key(server_key), keys if isinstance(keys, KeyPair) else key_pair(keys))


class Guard:
    """Guards the sockets that one context binds. Close it before the context is terminated.

    Raises:
        SecurityError: the keys cannot be used.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], security: Security) -> None:
        self._insecure = security.insecure
        self._keys: KeyPair | None = None
        self._authenticator: ThreadAuthenticator | None = None
        if security.keys is not None:
            self._keys = security.keys.server()
            self._authenticator = _authenticator(context, security.keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def bind(self, action: str, socket: zmq.Socket[bytes], endpoint: str, *, commands: bool = False) -> None:
        """Bind `socket`; `action` names what for in an error, as in "publish at", and `commands` what `exposed` asks.

        Raises:
            EndpointError: it cannot be bound.
            SecurityError: other machines would reach it, and nothing guards it.
        """
        if endpoint.partition("://")[0] not in ("tcp", "ipc"):
            raise EndpointError(f"cannot {action} {endpoint}: it is no endpoint; write it like tcp://127.0.0.1:5555")
        if self._keys is not None:
            socket.set(zmq.CURVE_SERVER, 1)
            socket.set(zmq.CURVE_SECRETKEY, self._keys.secret.encode())
            socket.set_string(zmq.ZAP_DOMAIN, _DOMAIN)
            socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        elif why := exposed(action, endpoint, insecure=self._insecure, commands=commands):
            raise SecurityError(why)
        attach(action, socket.bind, endpoint)

    def close(self) -> None:
        """Let nobody in any more. A second call does nothing."""
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None


def connect(action: str, socket: zmq.Socket[bytes], endpoint: str, credentials: Credentials | None) -> None:
    """Connect `socket`, encrypted where there are `credentials`.

    Raises:
        EndpointError: the endpoint is not one.
    """
    if credentials is not None:
        socket.set(zmq.CURVE_SERVERKEY, credentials.server.encode())
        socket.set(zmq.CURVE_PUBLICKEY, credentials.own.public.encode())
        socket.set(zmq.CURVE_SECRETKEY, credentials.own.secret.encode())
    attach(action, socket.connect, endpoint)


def exposed(action: str, endpoint: str, *, insecure: bool, commands: bool = False) -> str | None:
    """One sentence when an endpoint must not be bound without keys, as other machines reach it; else None.

    Args:
        action: as in "publish at".
        endpoint: to be bound.
        insecure: whether others may read what is published.
        commands: whether who connects gives commands; then `insecure` is no leave.
    """
    if is_local(endpoint) or (insecure and not commands):
        return None
    instead = "; --insecure does not open it" if commands else ", or say --insecure (security.insecure)"
    return (
        f"will not {action} {endpoint} in the clear, where other machines reach it: make keys with "
        f"`peoplestream keys` and give their folder in security.keys{instead}"
    )


def is_local(endpoint: str) -> bool:
    """Whether programs of this machine alone reach an endpoint that is bound."""
    transport, _, address = endpoint.partition("://")
    host = address.rpartition(":")[0].strip("[]")
    if transport != "tcp":
        return transport == "ipc"
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # `*`, the name of an interface or of a machine
        return False


class _Clients:
    """Answers for the list of clients, in the form that `zmq.auth` asks."""

    def __init__(self, folder: KeyFolder) -> None:
        self._folder = folder

    def callback(self, _domain: str, key: bytes) -> bool:
        return key.decode() in self._folder.clients().values()


def _authenticator(context: zmq.Context[zmq.Socket[bytes]], folder: KeyFolder) -> ThreadAuthenticator:
    from zmq.auth.thread import ThreadAuthenticator  # imports asyncio, which clients do without

    authenticator = ThreadAuthenticator(context)
    authenticator.configure_curve_callback(_DOMAIN, _Clients(folder))
    authenticator.start()
    return authenticator
