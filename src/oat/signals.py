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

FAREWELL = 4.5
"""Seconds that a service may take to finish, once no image is in hand."""

LOOK = 0.1
"""Seconds between two looks whether an image is in hand."""

log = logging.getLogger(__name__)


def on_signal(stop: Callable[[], None], in_hand: Callable[[], bool], code: int = 0) -> None:
    """Have the process `finish`, in another thread, on the first SIGTERM or SIGINT, and end on the second."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_listen, args=(reader, stop, in_hand, code), name="signals", daemon=True).start()


def finish(stop: Callable[[], None], in_hand: Callable[[], bool], code: int = 0) -> None:
    """Call `stop`, and end the process if that doesn't.

    Args:
        stop: has the main thread return.
        in_hand: whether there is an image to wait for.
        code: how the process ends if it has to be ended.
    """
    stop()
    end = time.monotonic() + FAREWELL
    while time.monotonic() < end:
        time.sleep(LOOK)
        if in_hand():
            end = time.monotonic() + FAREWELL
    log.warning("a server does not answer; ending all the same")
    os._exit(code)


def _listen(reader: socket.socket, stop: Callable[[], None], in_hand: Callable[[], bool], code: int) -> None:
    number = reader.recv(1)[0]
    log.info("stopping on %s; once more ends it at once", signal.Signals(number).name)
    threading.Thread(target=finish, args=(stop, in_hand, code), name="finish", daemon=True).start()
    reader.recv(1)
    os._exit(128 + number)
