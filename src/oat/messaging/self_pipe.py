"""The self-pipe: has a `select` of another thread return."""

import contextlib
import socket


class SelfPipe:
    """A pipe from the process to itself, which a thread includes in its `select`, so that others can wake it."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._woken = False

    def fileno(self) -> int:
        """Return the file descriptor for `select`: readable after `wake`."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Have the thread's `select` return; may be called from any thread or signal handler."""
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
