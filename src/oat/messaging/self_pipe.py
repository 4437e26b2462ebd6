"""The self-pipe: has another thread's `select` return."""

import contextlib
import socket


class SelfPipe:
    """What one thread waits for, beside its sockets, and others may `wake` it with."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._woken = False

    def fileno(self) -> int:
        """Return what `select` looks at: it is readable once somebody has called `wake`."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Wake the thread that waits; may be called from any thread or signal handler."""
        if not self._woken:
            self._woken = True
            with contextlib.suppress(BlockingIOError):  # then it has enough to wake up from
                self._writer.send(b"\0")

    def drain(self) -> bool:
        """Tell whether somebody has called `wake`, and forget it. Later calls are for the next time."""
        woken = False
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(4096):
                woken = True
        self._woken = False  # after the last byte: a flag without one would keep all later wakes from us
        return woken
