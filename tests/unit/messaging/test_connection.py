"""The connection to RabbitMQ, while it is being made."""

import socket
import threading

import pytest

from oat.addresses import parse_broker
from oat.messaging.connection import connect


def test_a_broker_that_ends_the_connection_is_asked_once():
    """The pauses are those of `Broker.serve`, which a stop ends; kombu would sleep for two seconds."""
    asked = []

    def refuse(listener):
        while True:
            try:
                asked.append(listener.accept()[0].close())
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        with pytest.raises(OSError):
            connect(parse_broker(f"amqp://127.0.0.1:{listener.getsockname()[1]}/"))
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert len(asked) == 1
