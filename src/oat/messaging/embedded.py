"""The embedded broker: kombu's file system transport, made safe for several processes, and fast.

A queue is a folder, and a file in it holds a batch of messages. kombu's own channel has one folder for all queues,
shows a message before it is completely written, and lists the folder for each message it takes; this one writes
files atomically and lists a folder once for all files in it. What a killed process had in memory is lost: the
tracker resends such tasks.
"""

import contextlib
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

from oat.messaging.deliveries import Choose, Delivery
from oat.messaging.folder_watch import FolderWatch
from oat.messaging.queues import RESULTS, TASKS
from oat.process import DurableFolder, create_durably, unique_name

BATCH_SIZES = {TASKS: (4, 50), RESULTS: (50, 50)}
"""Minimum and maximum of the messages in a file of each queue; one in other queues. A consumer gets all messages
of a file, even beyond its prefetch. So files of tasks are small, as other workers could begin them; but files cost
time, most of all on ext4 without a journal where many were just deleted."""

MIN_FILES = 32
"""Files that the tasks of one flush are divided into at least, as far as `BATCH_SIZES` allows, so that
several workers get some of them."""

_FILE = re.compile(r"(?P<position>[0-9]{1,20}).*-(?P<count>[1-9][0-9]?)\.json")

Message = dict[str, Any]

log = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """A channel that writes messages when it is flushed, in complete files, each of which one consumer gets."""

    supports_fanout = False
    get_table = virtual.Channel.get_table
    """In memory, as every service declares all bindings itself: kombu's own method reads them from a file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]  # kombu's own
        self._folder = str(self.data_folder_in)
        self._queues: dict[str, DurableFolder] = {}
        self._position = 0
        """The number of the last file written, or found at the beginning."""
        for queue in filter(Path.is_dir, Path(self._folder).iterdir()):
            self._position = max([self._position, *(int(name["position"]) for name in self._files(queue.name))])
        self._unflushed: defaultdict[str, list[Message]] = defaultdict(list)
        self._requeued: defaultdict[str, list[Message]] = defaultdict(list)
        self._listing: defaultdict[str, deque[str]] = defaultdict(deque)
        self.watch = FolderWatch()
        """Of the queues that are consumed."""

    def publish(self, exchange: str, body: bytes) -> None:
        """Publish the JSON document `body` to the queue of the same name as `exchange`, as plain text."""
        self._unflushed[exchange].append(
            {
                "body": body,
                "content-type": "application/json",
                "content-encoding": "utf-8",
                "properties": {
                    "delivery_tag": unique_name(),
                    "delivery_info": {"exchange": exchange, "routing_key": exchange},
                },
            }
        )

    def flush(self) -> None:
        """Write the messages published or requeued since the last time: they are on the disk when it returns.

        Raises:
            OSError: not all of them could be written.
        """
        unflushed, self._unflushed = self._unflushed, defaultdict(list)
        requeued, self._requeued = self._requeued, defaultdict(list)
        for queue in unflushed.keys() | requeued.keys():
            # At the front of the queue, where they were, and each in a file of its own, for any other consumer.
            returned = dict(_file([message], 0) for message in requeued[queue])
            minimum, maximum = BATCH_SIZES.get(queue, (1, 1))
            messages = unflushed[queue]
            size = min(max(minimum, len(messages) // MIN_FILES), maximum)
            batches = (messages[start : start + size] for start in range(0, len(messages), size))
            files = returned | dict(_file(batch, self._next_position()) for batch in batches)
            self._queues[queue].write(files)
            self._listing[queue].extendleft(returned)

    def _next_position(self) -> int:
        """Return a number for the next file: the time, and after all that were there if the clock was set back."""
        self._position = max(self._position + 1, time.time_ns())
        return self._position

    def basic_consume(self, queue: str, *args: Any, **kwargs: Any) -> None:
        """Consume as kombu does, and watch the folder of `queue`."""
        self.watch.add(f"{self._folder}/{queue}")
        super().basic_consume(queue, *args, **kwargs)  # type: ignore[no-untyped-call]  # as above

    def close(self) -> None:
        """Return what is unacknowledged to its queue."""
        super().close()  # type: ignore[no-untyped-call]  # as above
        self.flush()
        self.watch.close()

    def _restore(self, message: Any) -> None:
        before, self._unflushed = self._unflushed, self._requeued
        try:
            super()._restore(message)  # type: ignore[no-untyped-call]  # as above
        finally:
            self._unflushed = before

    def sift(self, queue: str, choose: Choose) -> None:
        """Go through the files of `queue`, and keep, move or drop each message; those kept stay where they are.

        A file is removed after what it had is written elsewhere: a process that is killed in between leaves some
        messages twice, and loses none.
        """
        for name in sorted(match.string for match in self._files(queue)):
            path = f"{self._folder}/{queue}/{name}"
            try:
                messages: list[Message] = json.loads(_read(path))
            except (FileNotFoundError, ValueError):
                continue  # a consumer has it, or will say that it is damaged
            targets = choose([self._delivery(message, queue) for message in messages])
            kept = [message for message, target in zip(messages, targets, strict=True) if target == queue]
            if len(kept) == len(messages):
                continue
            for message, target in zip(messages, targets, strict=True):
                if target is not None and target != queue:
                    body = self._delivery(message, queue).body
                    encoding = "utf-8" if isinstance(body, str) else "binary"
                    moved = self.prepare_message(  # type: ignore[no-untyped-call]  # kombu's own
                        body, content_type="application/json", content_encoding=encoding
                    )
                    self.basic_publish(moved, target, target)  # type: ignore[no-untyped-call]  # as above
            self.flush()
            rest = dict([_file(kept, int(name.partition("-")[0]))] if kept else [])
            if rest:
                self._queues[queue].write(rest)
            try:
                os.unlink(path)  # noqa: PTH108 (as below)
            except FileNotFoundError:  # a consumer has got all of them meanwhile
                for copy in rest:
                    Path(self._folder, queue, copy).unlink(missing_ok=True)

    def move_to_tail(self, queue: str, count: int) -> None:
        """Move the first `count` messages of `queue`, or some more, to its end: their files get later names."""
        for match in sorted(self._files(queue), key=lambda match: match.string):
            if count <= 0:
                return
            count -= int(match["count"])
            later = f"{self._next_position():020d}-{unique_name()}-{match['count']}.json"
            with contextlib.suppress(FileNotFoundError):  # a consumer has got its messages
                Path(self._folder, queue, match.string).rename(Path(self._folder, queue, later))

    def _delivery(self, message: Message, queue: str) -> Delivery:
        """Return a message of a file as it would be delivered."""
        decoded = self.message_to_python(message)  # type: ignore[no-untyped-call]  # kombu's own
        return Delivery(decoded.body, decoded.delivery_tag, queue=queue, headers=decoded.headers or {})

    def _new_queue(self, queue: str, **_: Any) -> None:
        if queue not in self._queues:  # asking for its size declares it as well
            folder = DurableFolder(f"{self._folder}/{queue}")
            folder.create()
            self._queues[queue] = folder

    def _next_delivery_tag(self) -> str:
        return unique_name()

    # kombu itself calls the second argument once `message` and once `payload`.
    def _put(self, queue: str, payload: Message, **_: Any) -> None:  # type: ignore[override]
        self._unflushed[queue].append(payload)

    def _get(self, queue: str, timeout: float | None = None) -> Message:
        first, *others = self._take_file(queue)
        self._unflushed[queue] += others
        self.flush()
        return first

    def _get_many(self, queues: Iterable[str], timeout: float | None = None) -> None:
        [queue] = queues  # a service consumes one
        for message in self._take_file(queue):
            self.connection._deliver(message, queue)

    def _size(self, queue: str) -> int:
        return sum(int(match["count"]) for match in self._files(queue))

    def _files(self, queue: str) -> Iterator[re.Match[str]]:
        names = os.listdir(f"{self._folder}/{queue}")  # noqa: PTH208 (thousands of names, and no paths needed)
        return filter(None, map(_FILE.fullmatch, names))

    def _take_file(self, queue: str) -> list[Message]:
        """Remove the first file of `queue` and return its messages, one at least.

        Raises:
            Empty: there is no file.
        """
        names = self._listing[queue]
        if not names:
            names.extend(sorted(match.string for match in self._files(queue)))
        while names:
            path = f"{self._folder}/{queue}/{names.popleft()}"
            try:
                content = _read(path)
                os.unlink(path)  # noqa: PTH108 (several times as fast)
            except FileNotFoundError:
                continue  # another consumer has got its messages
            try:
                messages: list[Message] = json.loads(content)
            except ValueError:
                log.warning("the embedded broker has dropped a file that is not valid JSON: %s", path)
                continue
            return messages
        raise Empty


def _file(messages: list[Message], position: int) -> tuple[str, bytes]:
    """Return name and content of the file of `messages`; consumers take files in the order of their names."""
    name = f"{position:020d}-{unique_name()}-{len(messages)}.json"  # what `_FILE` matches
    return name, json.dumps(messages, default=bytes.decode).encode()


def _read(path: str) -> bytes:
    """Return the content of the file at `path`, in four system calls where `Path` makes eight."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, os.fstat(file).st_size)
    finally:
        os.close(file)


class Transport(filesystem.Transport):
    """kombu's transport for a folder, with these channels; the option `data_folder_in` names it."""

    Channel = Channel


def connection(folder: str) -> Connection:
    """Return a connection, not yet open, to the broker in `folder`, which is created if it does not exist."""
    create_durably(folder)
    options = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": folder}
    return Connection("filesystem://", transport=Transport, transport_options=options)
