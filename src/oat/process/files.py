"""Atomic writes: a file appears under its name with all of its content, or not at all.

It is written under a temporary name, then renamed. The temporary name contains the host and the process of the
writer, so that a temporary file whose writer was killed is recognized as stale, and removed.

Two hosts of the same name that share a network drive may remove each other's temporary files. The writer's rename
fails then, which is an `OSError` like a full disk: the caller tries again.
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

STALE_AFTER = 3600.0
"""Seconds after which a temporary file is stale even if its writer may be running: the writer is on another host,
or another process has its PID now. No write takes that long."""

_HOST = re.sub("[^A-Za-z0-9-]", "-", socket.gethostname())[:64] or "localhost"
_process = ""  # the PID, and a random part for PIDs that are used again
_counter = count()


def _identify_process() -> None:
    global _process  # noqa: PLW0603 (a forked process needs an identity of its own)
    _process = f"{os.getpid()}-{uuid4().hex[:8]}"


_identify_process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_identify_process)

_TEMPORARY_NAME = re.compile(r"\.(?P<host>[A-Za-z0-9-]+)\.(?P<process>(?P<pid>[1-9][0-9]{0,8})-[0-9a-f]{8})\..+")


def write_atomically(folder: str | os.PathLike[str], name: str, content: bytes) -> None:
    """Write `content` to the file `name` in `folder`, replacing an existing one.

    It is not durable: after a power cut, the file may be empty. `DurableFolder` writes what must not be lost.

    Raises:
        OSError: it cannot be written; no temporary file is left.
    """
    temporary, file = write_temporary(folder, content)
    os.close(file)
    try:
        os.replace(temporary, os.path.join(folder, name))  # noqa: PTH105, PTH118 (see below)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108 (see below)
        raise


def write_temporary(folder: str | os.PathLike[str], content: bytes) -> tuple[str, int]:
    """Write `content` to a new temporary file in `folder`, and return its path and the open file's descriptor.

    It uses `os` instead of `Path`, whose overhead is as much as the time to write a small image.

    Raises:
        OSError: it cannot be written; no temporary file is left.
    """
    path = os.path.join(folder, temporary_name(f"{next(_counter)}.part"))  # noqa: PTH118 (see above)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        remaining = memoryview(content)
        while remaining:
            remaining = remaining[os.write(file, remaining) :]
    except BaseException:
        os.close(file)
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108 (see above)
        raise
    return path, file


def unique_name() -> str:
    """Return a name that no other call returns, in any process on any host."""
    return f"{_HOST}-{_process}-{next(_counter)}"


def temporary_name(name: str) -> str:
    """Return the temporary name of the file `name` that this process writes: hidden, with host and process."""
    return f".{_HOST}.{_process}.{name}"


def remove_stale_files(folder: Path) -> None:
    """Remove the stale temporary files in `folder`.

    Raises:
        OSError: `folder` cannot be read or written.
    """
    for path in stale_files(folder):
        path.unlink(missing_ok=True)  # another process may remove them at the same time


def stale_files(folder: Path) -> Iterator[Path]:
    """Yield the temporary files in `folder` whose writer is gone.

    Raises:
        OSError: `folder` cannot be read.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if (match := _TEMPORARY_NAME.fullmatch(entry.name)) and not _is_being_written(entry.path, match):
                yield Path(entry.path)


def _is_being_written(path: str, match: re.Match[str]) -> bool:
    if match["host"] == _HOST:
        if match["pid"] == str(os.getpid()):
            return match["process"] == _process  # in a new container, an earlier process may have had this PID
        try:
            os.kill(int(match["pid"]), 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it exists, as another user's
    try:
        modified = Path(path).stat().st_mtime
    except FileNotFoundError:
        return True  # it has just been renamed
    # Further in the future than that: its clock was set back, which does not tell how old the file is.
    return abs(file_system_time(os.path.dirname(path)) - modified) < STALE_AFTER  # noqa: PTH120 (see above)


def file_system_time(folder: str | os.PathLike[str]) -> float:
    """Return the time by the clock that dates files in `folder`: on a network drive, that of its server."""
    probe = os.path.join(folder, temporary_name(f"{next(_counter)}.time"))  # noqa: PTH118 (see above)
    try:
        file = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return time.time()  # who may only read, such as an audit, has no other clock
    try:
        return os.fstat(file).st_mtime
    finally:
        os.close(file)
        with contextlib.suppress(OSError):
            os.unlink(probe)  # noqa: PTH108 (see above)
