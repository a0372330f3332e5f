"""Keys: who is not on the list gets nothing, and nothing is opened to other machines by mistake."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from pathlib import Path

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from stream.wire import EndpointError, KeyFolder, Publisher, Security, SecurityError, Subscriber
from stream.wire.keys import KeyPair, key_pair, public_key
from stream.wire.security import Credentials, Guard, connect, is_local
from tests.stream.wire.samples import make_info, make_result

HERE = "tcp://127.0.0.1:0"


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    """A server that lets `viewer` in; `stranger` has keys, too."""
    folder = KeyFolder(tmp_path / "keys")
    for name in ("server", "viewer", "stranger"):
        folder.create(name)
    folder.allow("viewer", folder.path / "viewer.key")
    return folder


def pair(keys: KeyFolder, name: str) -> KeyPair:
    return key_pair(keys.path / f"{name}.key_secret")


def heard(publisher: Publisher, **credentials: object) -> int:
    """How many messages a subscriber with these credentials hears of in the time that ten frames take."""
    with Subscriber(publisher.endpoint, **credentials) as results:  # type: ignore[arg-type]
        received = 0
        for seq in range(10):
            publisher.send(make_result(seq=seq))
            received += results.receive(timeout=0.05) is not None
        return received + len(results.infos)


def test_who_is_on_the_list_gets_nothing(keys: KeyFolder) -> None:
    with Publisher(HERE, security=Security(keys)) as publisher:
        publisher.announce(make_info())
        server = keys.server().public
        with Subscriber(publisher.endpoint, server_key=server, keys=keys.path / "viewer.key_secret") as results:
            publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
            publisher.send(make_result())
            assert results.receive(timeout=5) is not None and "lobby" in results.infos


def test_who_has_no_keys_or_wrong_ones_or_is_not_on_the_list_gets_something(keys: KeyFolder) -> None:
    server, viewer = keys.server().public, pair(keys, "viewer")
    swapped = KeyPair(viewer.public, pair(keys, "stranger").secret)  # knows the public key of who is allowed
    with Publisher(HERE, security=Security(keys)) as publisher:
        publisher.announce(make_info())
        assert heard(publisher) == 0
        assert heard(publisher, server_key=pair(keys, "stranger").public, keys=viewer) == 0
        assert heard(publisher, server_key=server, keys=pair(keys, "stranger")) == 0
        assert heard(publisher, server_key=server, keys=swapped) == 0
        assert publisher.subscribers("lobby") == 0
        assert heard(publisher, server_key=server, keys=viewer) > 0  # so the others had time enough


def test_a_client_who_is_allowed_or_struck_off_later_needs_a_new_server(keys: KeyFolder) -> None:
    credentials = {"server_key": keys.server().public, "keys": pair(keys, "stranger")}
    with Publisher(HERE, security=Security(keys)) as publisher:
        file = keys.allow("stranger", pair(keys, "stranger").public)
        assert heard(publisher, **credentials) > 0
        file.unlink()
        assert heard(publisher, **credentials) == 0


def test_a_damaged_file_in_the_list_shuts_everybody_out(keys: KeyFolder) -> None:
    (keys.path / "clients" / "broken.key").write_bytes(b"\xff\x00")
    (keys.path / "clients" / "folder.key").mkdir()
    (keys.path / "clients" / "short.key").write_text('public-key = "abc"\n')
    with Publisher(HERE, security=Security(keys)) as publisher:
        assert heard(publisher, server_key=keys.server().public, keys=pair(keys, "viewer")) > 0
        assert heard(publisher, server_key=keys.server().public, keys=pair(keys, "stranger")) == 0


def test_a_dead_list_lets_everybody_in(keys: KeyFolder) -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as server, context.socket(zmq.SUB) as client:
        for socket in (server, client):
            socket.set(zmq.LINGER, 0)
        guard = Guard(context, Security(keys))
        guard.bind("publish at", server, HERE)
        guard.close()
        guard.close()
        credentials = Credentials.of(keys.server().public, pair(keys, "viewer"))
        client.subscribe("")
        connect("subscribe to", client, server.get_string(zmq.LAST_ENDPOINT), credentials)
        deadline = time.monotonic() + 0.4
        while time.monotonic() < deadline:
            server.send(b"secret")
            assert not client.poll(20)


@pytest.mark.parametrize("endpoint", ["tcp://*:0", "tcp://0.0.0.0:0", "tcp://eth0:5555", "tcp://[::]:0"])
def test_an_address_that_others_reach_is_opened_without_keys(endpoint: str) -> None:
    with pytest.raises(SecurityError, match=r"in the clear, where other machines reach it: .* or say --insecure"):
        Publisher(endpoint)


def test_an_address_that_others_reach_cannot_be_opened_with_keys_or_on_purpose(keys: KeyFolder) -> None:
    for security in (Security(keys), Security(insecure=True)):
        with Publisher("tcp://*:0", security=security) as publisher:
            assert publisher.endpoint.startswith("tcp://0.0.0.0:")


@pytest.mark.parametrize("endpoint", ["inproc://here", "udp://127.0.0.1:5555", "ws://127.0.0.1:5555", "tcp:5555", ""])
def test_a_transport_that_is_not_encrypted_is_bound(keys: KeyFolder, endpoint: str) -> None:
    with pytest.raises(EndpointError, match="it is no endpoint"):
        Publisher(endpoint, security=Security(keys))


def test_an_address_of_this_machine_is_mistaken() -> None:
    for endpoint in ("tcp://127.0.0.1:5555", "tcp://127.8.8.8:1", "tcp://localhost:*", "tcp://[::1]:5555", "ipc:///x"):
        assert is_local(endpoint), endpoint
    for endpoint in ("tcp://*:5555", "tcp://192.168.1.5:1", "tcp://localhost.example:1", "tcp://127.0.0.1.example:1"):
        assert not is_local(endpoint), endpoint


def test_keys_that_cannot_be_used_are_explained_in_riddles(keys: KeyFolder, tmp_path: Path) -> None:
    (keys.path / "viewer.key_secret").chmod(0o644)
    for give, says in [
        (lambda: key_pair(keys.path / "viewer.key_secret"), "others on this machine may read .*`chmod 600"),
        (lambda: key_pair(keys.path / "stranger.key"), "holds no secret key: give the .key_secret file"),
        (lambda: key_pair(tmp_path / "none"), "there is no such file"),
        (lambda: public_key("abc"), "cannot read the key abc"),
        (lambda: Credentials.of("x" * 40, None), "needs both"),
        (lambda: Subscriber(HERE, keys=keys.path / "stranger.key_secret"), "needs both"),
        (lambda: Publisher(HERE, security=Security(KeyFolder(tmp_path))), "make it with `peoplestream keys"),
        (lambda: keys.create("server"), "server.key_secret exists"),
        (lambda: keys.create("../evil"), "cannot name a key"),
        (lambda: keys.allow("a/b", "x" * 40), "cannot name a key"),
        (lambda: keys.allow("viewer", "not a key"), "cannot read the key"),
    ]:  # fmt: skip
        with pytest.raises(SecurityError, match=says):
            give()


def test_a_secret_is_shown_or_may_be_read_by_others(keys: KeyFolder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for file in keys.path.glob("*.key_secret"):
        assert file.stat().st_mode & 0o777 == 0o600
    assert keys.path.stat().st_mode & 0o077 == 0
    own = pair(keys, "viewer")
    credentials = Credentials.of(keys.server().public, own)
    with Publisher(HERE, security=Security(keys)) as publisher:
        heard(publisher, server_key=keys.server().public, keys=own)
    for secret in (own.secret, keys.server().secret):
        assert secret not in caplog.text + repr(own) + repr(credentials) + repr(keys)


def test_a_pair_that_exists_is_replaced(keys: KeyFolder) -> None:
    before = keys.server()
    with pytest.raises(SecurityError):
        keys.create("server")
    assert keys.server() == before
    assert sorted(file.name for file in keys.path.iterdir() if file.name.startswith("server")) == [
        "server.key", "server.key_secret"
    ]  # fmt: skip


@given(st.binary(max_size=200))
def test_a_key_file_with_anything_in_it_crashes_who_reads_it(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.key"
    file.write_bytes(data)
    with suppress(SecurityError):
        public_key(file)
    with suppress(SecurityError):
        key_pair(file)
