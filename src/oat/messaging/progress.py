"""Progress reports: what workers have in flight, for processes that watch. Nothing depends on them.

A fanout exchange: what a worker publishes reaches those who watch at that time, and is lost otherwise. Reports are
neither persistent nor confirmed, and a worker learns from each one whether anybody watches.
"""

import contextlib
import fcntl
import json
import logging
import os
import weakref
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, Any

import amqp

from oat.process import file_system_time, unique_name, write_temporary

PROGRESS = "progress"
"""The name of the exchange; with the embedded broker, of a folder."""

MAX_QUEUED = 1000
"""Reports kept for a process that watches, the latest: those of a hundred workers in five seconds."""

WATCH_TIMEOUT = 10.0
"""Seconds after which a process that watches the embedded broker counts as killed: it renews its file once a
second."""

log = logging.getLogger(__name__)


class ProgressReports(ABC):
    """The progress reports on one connection to the broker."""

    watched = False
    """Whether anybody watches, as far as the latest `publish` tells."""

    @abstractmethod
    def publish(self, body: bytes) -> None:
        """Publish a report to all processes that watch."""

    @abstractmethod
    def watch(self) -> None:
        """Receive reports from now on, until `unwatch` or the end of the connection."""

    @abstractmethod
    def unwatch(self) -> None:
        """Receive no more reports."""

    @abstractmethod
    def received(self) -> list[bytes | str]:
        """Return the reports received since the last time, the oldest first."""


class RabbitMQReports(ProgressReports):
    """Reports on RabbitMQ: an exclusive queue for each process that watches.

    They have a channel of their own, so that an error that closes it does not end the connection. A report is
    mandatory: RabbitMQ returns it if no queue is bound.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._channel: Any = None
        self._received: list[bytes | str] = []
        self._refused = False

    def publish(self, body: bytes) -> None:
        """Publish a report; `watched` is true until RabbitMQ returns it."""
        if self._refused:
            return
        first = self._channel is None
        self.watched = True
        try:
            channel = self._open()
            message = amqp.Message(body, content_type="application/json", delivery_mode=1)
            channel.basic_publish(message, exchange=PROGRESS, routing_key="", mandatory=True)
            if first:  # a permission that is missing is an error of this call
                channel.exchange_declare(PROGRESS, "fanout", passive=True)
        except amqp.ChannelError as error:
            self._refuse(error)

    def watch(self) -> None:
        """Declare and consume an exclusive queue; RabbitMQ drops the oldest reports beyond `MAX_QUEUED`."""
        if self._refused:
            return
        try:
            channel = self._open()
            queue = channel.queue_declare(
                exclusive=True, auto_delete=True, arguments={"x-max-length": MAX_QUEUED}
            ).queue
            channel.queue_bind(queue, PROGRESS)
            channel.basic_consume(queue, no_ack=True, callback=lambda message: self._received.append(message.body))
        except amqp.ChannelError as error:
            self._refuse(error)

    def unwatch(self) -> None:
        """Close the channel, and with it the queue."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def received(self) -> list[bytes | str]:
        """Return the reports received since the last time, the oldest first."""
        received, self._received = self._received, []
        return received

    def _open(self) -> Any:
        if self._channel is None:
            self._channel = self._connection.channel()
            self._channel.exchange_declare(PROGRESS, "fanout", durable=True, auto_delete=False)
            self._channel.events["basic_return"].add(self._on_return)
        return self._channel

    def _on_return(self, *_: object) -> None:
        self.watched = False

    def _refuse(self, error: amqp.ChannelError) -> None:
        """Do without reports on this connection: tasks are more important."""
        log.warning("no progress reports: RabbitMQ refuses the exchange %s: %s", PROGRESS, error)
        self._refused, self.watched = True, False


class EmbeddedReports(ProgressReports):
    """Reports in a folder beside the queues: a file with the latest one of each worker, and one for each watcher.

    A watcher's file is empty; its time says that the process is still running. A worker has its report locked as
    long as it runs, and removes it at its end: one that is there and not locked is that of a killed worker.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder, PROGRESS)
        name = unique_name()
        self._report, self._watcher = self._folder / f"report-{name}.json", self._folder / f"watcher-{name}"
        weakref.finalize(self, _remove, self._report)  # also when the process ends, unless it is killed
        self._watching = False
        self._lock: IO[bytes] | None = None
        """The latest report, open and locked."""
        self._read: dict[str, tuple[float, bool]] = {}
        """The times of the reports that were read last, by name, and whether their workers had been killed."""

    def publish(self, body: bytes) -> None:
        """Write the report into its file, if anybody watches."""
        with contextlib.suppress(OSError):  # a full disk is the task's concern
            watchers = list(self._folder.glob("watcher-*"))
            now = file_system_time(self._folder) if watchers else 0.0
            self.watched = any(_is_fresh(path, now) for path in watchers)
            if self.watched:
                temporary, file = write_temporary(self._folder, body)
                lock = open(file, "wb", buffering=0)  # noqa: SIM115, PTH123 (it is closed when the next one is there)
                with contextlib.suppress(OSError):  # there are file systems without locks
                    fcntl.flock(lock, fcntl.LOCK_EX)
                Path(temporary).replace(self._report)
                self._lock = lock

    def watch(self) -> None:
        """Create this watcher's file."""
        self._watching = True
        self._renew()

    def unwatch(self) -> None:
        """Remove this watcher's file."""
        self._watching = False
        _remove(self._watcher)

    def received(self) -> list[bytes | str]:
        """Return the reports written since the last time, and once more those of workers that were killed since.

        The files of processes that were killed a while ago are removed.
        """
        if not self._watching:
            return []
        self._renew()
        now = file_system_time(self._folder)
        reports: list[bytes | str] = []
        read: dict[str, tuple[float, bool]] = {}
        for path in (*self._folder.glob("report-*.json"), *self._folder.glob("watcher-*")):
            with contextlib.suppress(OSError):
                if not _is_fresh(path, now):
                    path.unlink()
                elif path.suffix:
                    body, was_killed, written = _read_report(path)
                    read[path.name] = written, was_killed
                    if read[path.name] != self._read.get(path.name):
                        reports.append(_as_killed(body) if was_killed else body)
        self._read = read
        return reports

    def _renew(self) -> None:
        with contextlib.suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            self._watcher.touch()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _read_report(path: Path) -> tuple[bytes, bool, float]:
    """Return a report, whether its worker was killed, and when it was written."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        body = file.read()
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # it is locked, or there are no locks
            return body, False, status.st_mtime
        # A report that the worker has just replaced by the next one is not locked either.
        return body, path.stat().st_ino == status.st_ino, status.st_mtime


def _as_killed(body: bytes) -> bytes:
    """Return a worker's last report as one that says that it was killed; a damaged one as it is."""
    try:
        return json.dumps(json.loads(body) | {"killed": True}).encode()
    except (TypeError, ValueError):
        return body


def _is_fresh(path: Path, now: float) -> bool:
    """Return whether a file was written less than `WATCH_TIMEOUT` seconds before `now`, the time in its folder.

    A time in the future is none: the clock was set back since.
    """
    try:
        return abs(now - os.stat(path).st_mtime) < WATCH_TIMEOUT  # noqa: PTH116 (`Path` takes twice as long)
    except FileNotFoundError:
        return False


def progress_reports(connection: Any, folder: str | None) -> ProgressReports:
    """Return the progress reports on an open connection to RabbitMQ, or to the embedded broker in `folder`."""
    return RabbitMQReports(connection) if folder is None else EmbeddedReports(folder)
