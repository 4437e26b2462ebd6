"""Starts the cloud's processes, keeps a record of each, and ends them by these records.

Each process leads a session of its own, and so a process group, in which its children stay however they rename
themselves. The record, a JSON file in run/processes, has the process id and the time of its start: a process id
that the kernel has given to someone else since is never touched. The few children that leave the session
(haproxy's daemons) have the variable OAT_CLOUD_PROCESS in their environment, which names the folder of this
cloud.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cloud.progress import CloudError, wait_for
from cloud.settings import Cloud

_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys/kernel/random/boot_id"


@dataclass(frozen=True, eq=False)
class Process:
    """A process of the cloud, as a service describes it."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] = lambda: True  # does it answer?
    patience: float = 180  # seconds until an answer; a busy machine starts twenty at once
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10  # until SIGKILL


@dataclass(frozen=True)
class Record:
    """What is written down of a process that was started."""

    name: str
    pid: int
    start_time: int  # in clock ticks since the machine's start, field 22 of /proc/PID/stat
    boot_id: str
    started_at: float  # seconds since 1970
    command: list[str]
    log: str

    @property
    def alive(self) -> bool:
        """Whether this very process runs."""
        stat = _stat(self.pid)
        return self._of_this_boot and stat is not None and stat.start_time == self.start_time and not stat.zombie

    def members(self) -> set[int]:
        """The processes of its session; also those that are left when their leader is dead."""
        leader = _stat(self.pid)
        if not self._of_this_boot or (leader is not None and leader.start_time != self.start_time):
            return set()
        return {pid for pid, stat in _all() if stat.session == self.pid and not stat.zombie}

    @property
    def _of_this_boot(self) -> bool:
        return self.boot_id == _BOOT_ID.read_text().strip()


@dataclass(frozen=True)
class _Stat:
    session: int
    start_time: int
    zombie: bool


def _stat(pid: int) -> _Stat | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    state, *numbers = text.rpartition(")")[2].split()  # the name before it may have blanks and brackets in it
    return _Stat(session=int(numbers[2]), start_time=int(numbers[18]), zombie=state in "ZX")


def _all() -> Iterator[tuple[int, _Stat]]:
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and (stat := _stat(int(entry.name))):
            yield int(entry.name), stat


class Supervisor:
    """The processes of one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._folder = cloud.run / "processes"
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def records(self) -> dict[str, Record]:
        """All that were started and not ended yet, dead ones too, in the order of their start."""
        records = [Record(**json.loads(file.read_text())) for file in self._folder.glob("*.json")]
        return {record.name: record for record in sorted(records, key=lambda record: record.started_at)}

    def alive(self, name: str) -> bool:
        """Whether the process of this name runs."""
        record = self.records().get(name)
        return record is not None and record.alive

    def start(self, process: Process) -> bool:
        """Starts a process unless it runs; whether it had to be started.

        What an earlier one of that name has left in its session is ended first.
        """
        record = self.records().get(process.name)
        if record and record.alive:
            return False
        if record:
            _end(record.members, signal.SIGKILL, seconds=5)
        log = self._cloud.log / f"{process.name}.log"
        with log.open("ab") as output:
            child = subprocess.Popen(
                process.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._cloud.environment | process.environment,
                start_new_session=True,
            )
        self._children[process.name] = child
        stat = _stat(child.pid)  # even of one that has ended already: it waits for its parent, this process
        if stat is None:
            raise CloudError(f"{process.name} cannot be started")
        self._write(
            Record(
                name=process.name,
                pid=child.pid,
                start_time=stat.start_time,
                boot_id=_BOOT_ID.read_text().strip(),
                started_at=time.time(),
                command=process.command,
                log=str(log),
            )
        )
        return True

    def wait(self, process: Process) -> None:
        """Waits until a process answers.

        Raises:
            CloudError: it has ended, or does not answer in time; the message has the end of its log.
        """
        try:
            wait_for(process.name, process.ready, process.patience, lambda: self.alive(process.name))
        except CloudError as error:
            log = self._cloud.log / f"{process.name}.log"
            child = self._children.get(process.name)
            status = f" with status {child.returncode}" if child and child.poll() is not None else ""
            raise CloudError(f"{error}{status}; the end of {log}:\n{tail(log)}") from None

    def stop(self, processes: Iterable[Process | Record]) -> None:
        """Ends these processes and what they have started, all at once."""
        records = self.records()
        for wanted in list(processes):
            record = records.get(wanted.name)
            if record is None:
                continue
            how = wanted.stop_signal if isinstance(wanted, Process) else signal.SIGTERM
            for pid in [record.pid] if record.alive else record.members():
                _kill(pid, how)
        for wanted in list(processes):
            if record := records.get(wanted.name):
                seconds = wanted.stop_seconds if isinstance(wanted, Process) else 10
                _wait_for_end(record.members, seconds)
                _end(record.members, signal.SIGKILL, seconds=5)
                if child := self._children.pop(wanted.name, None):
                    child.wait()
                (self._folder / f"{wanted.name}.json").unlink(missing_ok=True)

    def stop_strays(self) -> None:
        """Ends what has left its session, and so its record: known by its environment."""
        _end(self._marked, signal.SIGTERM, seconds=3)
        _end(self._marked, signal.SIGKILL, seconds=5)

    def _marked(self) -> set[int]:
        mark = f"OAT_CLOUD_PROCESS={self._cloud.folder}".encode()
        found = set()
        for pid, stat in _all():
            try:
                if not stat.zombie and mark in (_PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                    found.add(pid)
            except OSError:  # it has ended
                continue
        return found

    def _write(self, record: Record) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".{record.name}"
        temporary.write_text(json.dumps(record.__dict__, indent=1))
        temporary.rename(self._folder / f"{record.name}.json")


def _kill(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)


def _wait_for_end(members: Callable[[], set[int]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while members() and time.monotonic() < deadline:
        time.sleep(0.1)


def _end(members: Callable[[], set[int]], how: signal.Signals, seconds: float) -> None:
    for pid in members():
        _kill(pid, how)
    _wait_for_end(members, seconds)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-lines:])
