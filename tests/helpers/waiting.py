"""Waiting for a condition, and ports that are free."""

import contextlib
import random
import socket
import time

TIMEOUT = 150
"""Seconds until a condition has to be true, or a process to have ended: a machine that runs tests may be busy."""


_CLAIMS = []


def free_port():
    """A port that nobody else takes before the server does, nor while the server is restarted.

    It is below those that outgoing connections are given, and this process claims it until it ends: by a socket of
    an abstract name, which only one process can have.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 30_000)
        claim = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError), socket.socket() as sock:
            claim.bind(f"\0oat-port-{port}")
            sock.bind(("127.0.0.1", port))
            _CLAIMS.append(claim)
            return port
        claim.close()


def wait_until(condition, what, timeout=TIMEOUT, step=0.05):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true in {timeout} seconds")
        time.sleep(step)
    return value
