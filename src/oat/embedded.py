"""The embedded broker: kombu's file system transport, made safe for several processes.

A message is a file in a folder. kombu's own channel shows a message before it is written and lists the whole
folder for each one it takes; this one renames a finished file into place and works off a listing. What a killed
process had in memory is gone: the tracker sends such tasks again.
"""

import contextlib
import logging
import os
import time
from collections import defaultdict, deque
from pathlib import Path
from queue import Empty
from typing import Any
from uuid import uuid4

from kombu.transport import filesystem, virtual
from kombu.utils.json import dumps, loads

from oat.temporary import left_over, original_name, temporary_name, write_whole

log = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """A channel whose messages appear whole and are taken once."""

    supports_fanout = False
    get_table = virtual.Channel.get_table
    """Every service declares all bindings itself: they need no file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # kombu's own
        self._listed: dict[str, deque[str]] = defaultdict(deque)
        self._tidy()

    def _tidy(self) -> None:
        """Remove what killed processes left half written, and put back what they had not read yet."""
        for path in left_over(Path(self.data_folder_in)):
            name, _, state = original_name(path.name).rpartition(".")
            with contextlib.suppress(FileNotFoundError):  # another process is tidying up as well
                if state == "taken":
                    path.rename(path.with_name(name))
                else:
                    path.unlink()

    # kombu itself calls the second argument once `message` and once `payload`.
    def _put(self, queue: str, payload: dict[str, Any], **_: Any) -> None:  # type: ignore[override]
        name = f"{time.time_ns():020d}-{uuid4().hex}.{queue}.msg"
        write_whole(self.data_folder_out, name, dumps(payload).encode())

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        names = self._listed[queue]
        if not names:
            ending = f".{queue}.msg"
            files = os.listdir(self.data_folder_in)  # noqa: PTH208 (names are all we need, of thousands)
            names.extend(sorted(name for name in files if name.endswith(ending) and name[0] != "."))
        while names:
            path = Path(self.data_folder_in, names.popleft())
            taken = path.with_name(temporary_name(f"{path.name}.taken"))
            try:
                path.rename(taken)
            except FileNotFoundError:
                continue
            try:
                payload: dict[str, Any] = loads(taken.read_text())
            except ValueError:
                log.warning("the embedded broker holds a file that is no message; it is dropped: %s", path)
                continue
            finally:
                taken.unlink()
            return payload
        raise Empty


class Transport(filesystem.Transport):
    """Messages in the folder `data_folder_in` of the transport options."""

    Channel = Channel
