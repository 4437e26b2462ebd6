"""The proxy that harms traffic: what it passes on, holds and hears."""

import socket
import struct

import pytest

from helpers.proxy import Proxy
from helpers.waiting import TIMEOUT


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)
        yield listener


@pytest.fixture
def connect(server):
    """Return a proxy to the server, and a connection to it that waits to be let through."""
    opened = []

    def connected():
        proxy = Proxy(server.getsockname()[1], held=True)
        client = socket.create_connection(("127.0.0.1", proxy.port), TIMEOUT)
        opened.extend((client, proxy))
        return proxy, client

    yield connected
    for each in opened:
        each.close()


def accept(server):
    connection, _ = server.accept()
    connection.settimeout(TIMEOUT)
    return connection


def test_a_connection_is_held_until_it_is_released(server, connect):
    proxy, client = connect()
    client.sendall(b"early")
    server.settimeout(0.2)
    with pytest.raises(TimeoutError):
        server.accept()
    server.settimeout(TIMEOUT)
    proxy.release()
    with accept(server) as connection:
        assert connection.recv(100) == b"early"


def test_what_it_listens_for_is_counted_and_passed_on(server, connect):
    proxy, client = connect()
    proxy.release()
    proxy.listen(b"beat")
    with accept(server) as connection:
        connection.sendall(b"beat")  # on its way down
        assert client.recv(100) == b"beat"
        for _ in range(2):
            client.sendall(b"a beat")
            assert connection.recv(100) == b"a beat"
        assert proxy.heard == 2
        proxy.listen(b"beat")
        assert proxy.heard == 0


def test_a_connection_that_is_reset_ends_at_the_other_side_as_well(server, connect):
    proxy, client = connect()
    proxy.release()
    with accept(server) as connection:
        client.sendall(b"last words")
        assert connection.recv(100) == b"last words"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert connection.recv(100) == b""
