"""Waiting for a condition, and ports that are free."""

import contextlib
import random
import socket
import time

TIMEOUT = 90
"""Seconds until a condition has to be true; the machines that run tests may be slow."""


def free_port():
    """A port below those that outgoing connections are given: none can take it before the server does."""
    while True:
        port = random.SystemRandom().randrange(10_000, 30_000)
        with contextlib.suppress(OSError), socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
            return port


def wait_until(condition, what, timeout=TIMEOUT, step=0.05):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true in {timeout} seconds")
        time.sleep(step)
    return value
