"""The self-pipe: ends the wait of another thread for its connection."""

import contextlib
import selectors
import socket
from typing import Protocol


class HasFileno(Protocol):
    """What `selectors` can wait for."""

    def fileno(self) -> int:
        """Return its file descriptor."""


class SelfPipe:
    """A pipe from the process to itself, on which a thread waits beside its connection: others can wake it."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._woken = False

    def wait(self, timeout: float, connection: HasFileno | None = None) -> tuple[bool, bool]:
        """Wait until `wake` has been called or `connection` is readable, for `timeout` seconds at most.

        Returns:
            Whether either is true, and whether `connection` is readable. File descriptors may be above 1023.
        """
        with selectors.PollSelector() as selector:
            selector.register(self._reader, selectors.EVENT_READ)
            if connection is not None:
                selector.register(connection, selectors.EVENT_READ)
            ready = [key.fileobj for key, _ in selector.select(max(timeout, 0))]
        return bool(ready), connection in ready

    def wake(self) -> None:
        """Have the thread's `wait` return; may be called from any thread or signal handler."""
        if not self._woken:
            self._woken = True
            with contextlib.suppress(BlockingIOError):  # a full pipe is readable as well
                self._writer.send(b"\0")

    def drain(self) -> bool:
        """Empty the pipe and return whether `wake` has been called since the last time."""
        woken = False
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(4096):
                woken = True
        self._woken = False  # after the last byte: True with an empty pipe would suppress every later wake
        return woken
