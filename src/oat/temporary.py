"""Temporary files: a name tells who writes it, so that what a killed process left behind can be swept away.

Where a name misleads (two machines of one name on one network drive), a writer finds its file gone when it renames
it, which is an error like a full disk: it writes the file again.
"""

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

LONGEST_WRITE = 3600.0
"""Seconds after which the temporary file of another machine is taken to be left over."""

_HOST = re.sub("[^A-Za-z0-9-]", "-", socket.gethostname())[:64] or "localhost"
_ME = f"{os.getpid()}-{uuid4().hex[:8]}"
_NAME = re.compile(r"\.(?P<host>[A-Za-z0-9-]+)\.(?P<process>(?P<pid>[1-9][0-9]{0,8})-[0-9a-f]{8})\..+")


def temporary_name(name: str) -> str:
    """Return what `name`, a file of this process alone, is called while it is written: hidden, with its writer."""
    return f".{_HOST}.{_ME}.{name}"


def original_name(temporary: str) -> str:
    """Return the `name` of which `temporary_name` made `temporary`."""
    return temporary.split(".", 3)[3]


def left_over(folder: Path) -> Iterator[Path]:
    """Yield the temporary files in `folder` that nobody writes any more."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if (match := _NAME.fullmatch(entry.name)) and not _in_use(entry.path, match):
                yield Path(entry.path)


def _in_use(path: str, match: re.Match[str]) -> bool:
    if match["host"] != _HOST:
        try:
            return time.time() - Path(path).stat().st_mtime < LONGEST_WRITE
        except FileNotFoundError:
            return True  # it has just got its name
    if match["pid"] == str(os.getpid()):
        return match["process"] == _ME  # in a container, who ran before had our number
    try:
        os.kill(int(match["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
