"""Temporary files: a file appears under its name with all of its content.

Until then it has a temporary name, which tells who writes it, so that what a killed process left behind can be
swept away.

Where a name misleads (two machines of one name on one network drive), a writer finds its file gone when it renames
it, which is an error like a full disk: it writes the file again.
"""

import contextlib
import os
import re
import socket
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from uuid import uuid4

LONGEST_WRITE = 3600.0
"""Seconds after which a temporary file is taken to be left over although its writer may live: on another machine,
or because another process has the writer's number by now."""

_HOST = re.sub("[^A-Za-z0-9-]", "-", socket.gethostname())[:64] or "localhost"
_me = ""
_numbers = count()


def _be_someone() -> None:
    global _me  # noqa: PLW0603 (a forked process is someone else)
    _me = f"{os.getpid()}-{uuid4().hex[:8]}"


_be_someone()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_be_someone)

_NAME = re.compile(r"\.(?P<host>[A-Za-z0-9-]+)\.(?P<process>(?P<pid>[1-9][0-9]{0,8})-[0-9a-f]{8})\..+")


def write_atomically(folder: str | os.PathLike[str], name: str, content: bytes) -> str:
    """Write a file that appears under its name with all of its content, and return its path.

    With the system's own calls: those of `Path` would take as long again as writing a small image.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    part = os.path.join(folder, temporary_name(f"{next(_numbers)}.part"))  # noqa: PTH118 (see above)
    path = os.path.join(folder, name)  # noqa: PTH118 (see above)
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(file, left) :]
        finally:
            os.close(file)
        os.replace(part, path)  # noqa: PTH105 (see above)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)  # noqa: PTH108 (see above)
        raise
    return path


def unique_name() -> str:
    """Return a name that no other call returns, in any process."""
    return f"{_HOST}-{_me}-{next(_numbers)}"


def temporary_name(name: str) -> str:
    """Return what `name`, a file of this process alone, is called while it is written: hidden, with its writer."""
    return f".{_HOST}.{_me}.{name}"


def remove_stale_files(folder: Path) -> None:
    """Remove what killed processes left half written in `folder`."""
    for path in stale_files(folder):
        path.unlink(missing_ok=True)  # another process may be sweeping as well


def stale_files(folder: Path) -> Iterator[Path]:
    """Yield the temporary files in `folder` that nobody writes any more."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if (match := _NAME.fullmatch(entry.name)) and not _in_use(entry.path, match):
                yield Path(entry.path)


def _in_use(path: str, match: re.Match[str]) -> bool:
    if match["host"] == _HOST:
        if match["pid"] == str(os.getpid()):
            return match["process"] == _me  # in a container, who ran before had our number
        try:
            os.kill(int(match["pid"]), 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
    try:
        return time.time() - Path(path).stat().st_mtime < LONGEST_WRITE
    except FileNotFoundError:
        return True  # it has just got its name
