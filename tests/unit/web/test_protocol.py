"""Requests that never come to an end, sent to uvicorn with our protocol."""

import asyncio
import contextlib
import socket
import threading

import pytest
import uvicorn

from helpers.waiting import TIMEOUT
from oat.web.protocol import LimitedHttpProtocol


def test_an_incomplete_request_times_out(monkeypatch):
    """Half a head, half a body; but an answer may take for ever."""
    monkeypatch.setattr("oat.web.protocol.REQUEST_TIMEOUT", 2.0)
    answering = threading.Event()

    async def application(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        answering.set()
        await asyncio.sleep(3600)

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, http=LimitedHttpProtocol, lifespan="off", timeout_graceful_shutdown=0)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"
    with contextlib.ExitStack() as stack:

        def send(data):
            connection = stack.enter_context(socket.create_connection(listening.getsockname(), TIMEOUT))
            connection.sendall(data)
            return connection

        whole = send(head + b"12345")
        assert answering.wait(TIMEOUT)
        parts = [send(begun) for begun in (b"", head[:20], head + b"1234")]
        assert [part.recv(100) for part in parts] == [b""] * 3
        whole.setblocking(False)
        with pytest.raises(BlockingIOError):  # neither an answer nor an end
            whole.recv(100)
    server.should_exit = True
    thread.join(TIMEOUT)
    assert not thread.is_alive()
