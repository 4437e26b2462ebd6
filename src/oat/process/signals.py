"""Signals: the first SIGTERM or SIGINT shuts a service down gracefully, the second ends its process at once.

SIGHUP, of a terminal that is closed, is as the first; whoever starts a service with nohup ignores it.

A thread of its own receives them, since the main thread may be waiting in a library's code. If the main thread has
not returned when the shutdown timeout expires, because a server does not answer, the process is ended. That is as
safe as a SIGKILL: what was not acknowledged is delivered again, what was not committed is rolled back.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

SHUTDOWN_TIMEOUT = 4.5
"""Seconds that a service may take to shut down once it is not busy: more than it takes to close two connections to
a broker that does not answer, and less than the 5 seconds that are promised."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that shut a service down."""

POLL_INTERVAL = 0.1
"""Seconds between two checks whether a service that shuts down is busy."""

log = logging.getLogger(__name__)


def install_signal_handlers(stop: Callable[[], None], is_busy: Callable[[], bool], exit_code: int = 0) -> None:
    """Call `shut_down`, in another thread, on the first stop signal; end the process on the second.

    Must be called in the main thread. See `shut_down` for the arguments.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach())
    for number in STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    threading.Thread(
        target=_receive_signals, args=(reader, stop, is_busy, exit_code), name="signals", daemon=True
    ).start()


def shut_down(stop: Callable[[], None], is_busy: Callable[[], bool], exit_code: int = 0) -> None:
    """Call `stop`, and end the process if it is still there after `SHUTDOWN_TIMEOUT`.

    Args:
        stop: makes the main thread return soon.
        is_busy: tells whether an image is being rendered; the timeout starts when none is.
        exit_code: the exit code of the process if the timeout expires.
    """
    stop()
    deadline = time.monotonic() + SHUTDOWN_TIMEOUT
    while time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL)
        if is_busy():
            deadline = time.monotonic() + SHUTDOWN_TIMEOUT
    log.warning("shutdown timeout: a server does not answer; exiting anyway")
    os._exit(exit_code)


def _receive_signals(
    reader: socket.socket, stop: Callable[[], None], is_busy: Callable[[], bool], exit_code: int
) -> None:
    """Read the numbers of the signals, a byte each, from the wakeup file descriptor."""
    number = reader.recv(1)[0]
    log.info("stopping on %s; once more ends it at once", signal.Signals(number).name)
    try:
        threading.Thread(target=shut_down, args=(stop, is_busy, exit_code), name="shutdown", daemon=True).start()
    except RuntimeError:  # no thread can be started
        os._exit(exit_code)
    while (number := reader.recv(1)[0]) == signal.SIGHUP:
        pass  # of one closed terminal it comes from the shell and from the kernel
    os._exit(128 + number)  # as a shell reports a process that was killed by this signal
