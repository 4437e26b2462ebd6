"""Signals: the first one has a service finish, a second one ends its process at once.

A thread of its own hears them, whatever the service is waiting for, be it in the middle of a library's code. It
also ends the process if a server that does not answer would keep it: that is a kill, and a kill loses nothing.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

SHUTDOWN_TIMEOUT = 4.5
"""Seconds that a service may take to finish, once no image is in hand."""

POLL_INTERVAL = 0.1
"""Seconds between two looks whether an image is in hand."""

log = logging.getLogger(__name__)


def on_signal(stop: Callable[[], None], is_busy: Callable[[], bool], code: int = 0) -> None:
    """Have the process `shut_down`, in another thread, on the first SIGTERM or SIGINT, and end on the second."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_listen, args=(reader, stop, is_busy, code), name="signals", daemon=True).start()


def shut_down(stop: Callable[[], None], is_busy: Callable[[], bool], code: int = 0) -> None:
    """Call `stop`, and end the process if that doesn't.

    Args:
        stop: has the main thread return.
        is_busy: whether there is an image to wait for.
        code: how the process ends if it has to be ended.
    """
    stop()
    end = time.monotonic() + SHUTDOWN_TIMEOUT
    while time.monotonic() < end:
        time.sleep(POLL_INTERVAL)
        if is_busy():
            end = time.monotonic() + SHUTDOWN_TIMEOUT
    log.warning("a server does not answer; ending all the same")
    os._exit(code)


def _listen(reader: socket.socket, stop: Callable[[], None], is_busy: Callable[[], bool], code: int) -> None:
    number = reader.recv(1)[0]
    log.info("stopping on %s; once more ends it at once", signal.Signals(number).name)
    threading.Thread(target=shut_down, args=(stop, is_busy, code), name="finish", daemon=True).start()
    reader.recv(1)
    os._exit(128 + number)
