"""The embedded broker: kombu's file system transport, made safe for several processes, and quick.

A queue is a folder, and a file in it holds a message, or a few that were published together. kombu's own
channel has one folder for all queues, shows a message before it is written and lists everything for each one it
takes; this one renames a finished file into place and works off a listing. What a killed process had in memory
is gone: the tracker sends such tasks again.
"""

import json
import logging
import os
import re
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.connection import Connection
from kombu.transport import filesystem, virtual

from oat.process import remove_stale_files, unique_name, write_atomically

TOGETHER = {"tasks": (4, 50), "results": (50, 50)}
"""Messages in a file of a queue, from so few to so many; one in other queues. Who takes one takes all of them, and
may so hold more than it asked for. Tasks are few, as another worker could begin them, or one in `PARTS` of those
that are published at once: files cost, most of all where many were just deleted on ext4 without a journal."""

PARTS = 32

_FILE = re.compile(r"[0-9].*-(?P<count>[1-9][0-9]?)\.json")

Message = dict[str, Any]

log = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """A channel whose messages appear whole, when it is flushed, and are taken once."""

    supports_fanout = False
    get_table = virtual.Channel.get_table
    """Every service declares all bindings itself: they need no file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # kombu's own
        self._folder = str(self.data_folder_in)
        for queue in filter(Path.is_dir, Path(self._folder).iterdir()):
            remove_stale_files(queue)
        self._written: defaultdict[str, list[Message]] = defaultdict(list)
        self._listed: defaultdict[str, deque[str]] = defaultdict(deque)

    def publish(self, name: str, body: bytes) -> None:
        """Publish the JSON document `body` into the queue `name`, in plain text."""
        self._written[name].append(
            {
                "body": body,
                "content-type": "application/json",
                "content-encoding": "utf-8",
                "properties": {
                    "delivery_tag": unique_name(),
                    "delivery_info": {"exchange": name, "routing_key": name},
                },
            }
        )

    def flush(self) -> None:
        """Write what has been published since the last time.

        Raises:
            OSError: not all of it could be written.
        """
        written, self._written = self._written, defaultdict(list)
        for queue, messages in written.items():
            few, many = TOGETHER.get(queue, (1, 1))
            together = min(max(few, len(messages) // PARTS), many)
            for start in range(0, len(messages), together):
                self._write(queue, messages[start : start + together], time.time_ns())

    def _write(self, queue: str, messages: list[Message], place: int) -> str:
        name = f"{place:020d}-{unique_name()}-{len(messages)}.json"  # what `_FILE` matches
        write_atomically(f"{self._folder}/{queue}", name, json.dumps(messages, default=bytes.decode).encode())
        return name

    def _restore(self, message: Any) -> None:
        super()._restore(message)  # type: ignore[no-untyped-call]  # as above
        # Back to the front, where it was, in a file of its own: its taker may not have asked for it.
        queue = message.delivery_info["routing_key"]
        self._listed[queue].appendleft(self._write(queue, [self._written[queue].pop()], 0))

    def _new_queue(self, queue: str, **_: Any) -> None:
        Path(self._folder, queue).mkdir(exist_ok=True)

    def _next_delivery_tag(self) -> str:
        return unique_name()

    # kombu itself calls the second argument once `message` and once `payload`.
    def _put(self, queue: str, payload: Message, **_: Any) -> None:  # type: ignore[override]
        self._written[queue].append(payload)

    def _get(self, queue: str, timeout: float | None = None) -> Message:
        first, *others = self._take(queue)
        self._written[queue] += others
        self.flush()
        return first

    def _get_many(self, queues: Iterable[str], timeout: float | None = None) -> None:
        [queue] = queues  # a service consumes from one
        for message in self._take(queue):
            self.connection._deliver(message, queue)

    def _size(self, queue: str) -> int:
        return sum(int(match["count"]) for match in self._files(queue))

    def _files(self, queue: str) -> Iterator[re.Match[str]]:
        names = os.listdir(f"{self._folder}/{queue}")  # noqa: PTH208 (names are all we need, of thousands)
        return filter(None, map(_FILE.fullmatch, names))

    def _take(self, queue: str) -> list[Message]:
        """Return the messages of the oldest file; one at least.

        Raises:
            Empty: there is none.
        """
        names = self._listed[queue]
        if not names:
            names.extend(sorted(match.string for match in self._files(queue)))
        while names:
            path = f"{self._folder}/{queue}/{names.popleft()}"
            try:
                content = _read(path)
                os.unlink(path)  # noqa: PTH108 (several times as fast)
            except FileNotFoundError:
                continue  # its messages belong to whoever removed it
            try:
                messages: list[Message] = json.loads(content)
            except ValueError:
                log.warning("the embedded broker held a file without messages; it is dropped: %s", path)
                continue
            return messages
        raise Empty


def _read(path: str) -> bytes:
    """Return what the file at `path` holds, in four system calls where `Path` makes eight."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, os.fstat(file).st_size)
    finally:
        os.close(file)


class Transport(filesystem.Transport):
    """Messages in the folder `data_folder_in` of the transport options."""

    Channel = Channel


def connection(folder: str) -> Connection:
    """Return a connection, not yet open, to the broker in `folder`, which is made if need be."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    options = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": folder}
    return Connection("filesystem://", transport=Transport, transport_options=options)
