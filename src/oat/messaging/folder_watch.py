"""Watches folders for files that appear in them, by Linux's inotify, so that nobody has to poll them for it.

What another host writes on a network drive is not noticed, nor anything on other systems: so consumers poll as
well. Python has no interface to inotify; these are its three functions of the C library.
"""

import ctypes
import os

_IN_MOVED_TO = 0x80
"""The event: a file got a name in the folder by a rename, as all complete files do. Source: inotify(7)"""

_MAX_EVENTS_SIZE = 64 * 1024
"""Bytes of events read at once: some thousand."""

_libc = ctypes.CDLL(None, use_errno=True)


class FolderWatch:
    """A file descriptor that is readable when a complete file has appeared in one of the watched folders."""

    def __init__(self) -> None:
        init = getattr(_libc, "inotify_init1", lambda _flags: -1)
        descriptor = init(os.O_NONBLOCK | os.O_CLOEXEC)
        # Closed with the object. Where there is none, or none left for this user, only polling remains.
        self.file = open(descriptor, "rb", buffering=0) if descriptor >= 0 else None  # noqa: SIM115, PTH123 (see above)

    def add(self, folder: str) -> None:
        """Watch `folder`; nothing changes if it is watched."""
        if self.file is not None:
            _libc.inotify_add_watch(self.file.fileno(), os.fsencode(folder), _IN_MOVED_TO)

    def drain(self) -> bool:
        """Forget what has appeared so far, and return whether something has."""
        drained = False
        if self.file is not None:
            while self.file.read(_MAX_EVENTS_SIZE):
                drained = True
        return drained

    def close(self) -> None:
        """Close the file descriptor."""
        if self.file is not None:
            self.file.close()
