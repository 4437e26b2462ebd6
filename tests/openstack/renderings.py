"""What the workers of a stack begin and finish, by their logs: a log goes with its server, so read it in time."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from helpers import Stack, init_of

_LINE = re.compile(r"(processing task|task) ([0-9a-f-]{36})(:| processed in)?")


class Renderings:
    """The logs of all workers of a stack, also of those that are no more.

    Args:
        stack: whose.
        folder: where to keep the logs.
    """

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self._readers: dict[str, subprocess.Popen[bytes]] = {}

    def follow(self) -> list[Any]:
        """Begins to read the logs of the workers that are new; the workers there are, once they write a log."""
        workers = [server for server in self._stack.servers("worker") if server.status == "ACTIVE"]
        for server in workers:
            if server.id not in self._readers and _has_journal(init := init_of(server)):
                journal = ["journalctl", "--follow", "--lines=all", "--output=cat", "--unit=oat-worker@1"]
                with (self._folder / server.id).open("wb") as log:
                    self._readers[server.id] = subprocess.Popen(
                        ["nsenter", "--target", str(init), "--mount", "--pid", *journal], stdout=log
                    )
        return [server for server in workers if server.id in self._readers]

    def stop(self) -> None:
        """Ends the readers whose servers are still there."""
        for reader in self._readers.values():
            reader.kill()  # nsenter is stopped with what it runs, and then hears nothing else
            reader.wait()

    def of(self, server: Any) -> tuple[list[str], list[str]]:
        """The UUIDs of the tasks that a worker has begun, and of those that it has finished."""
        begun, finished = [], []
        for line in (self._folder / server.id).read_text(errors="replace").splitlines():
            if found := _LINE.search(line):
                (finished if found[3] == " processed in" else begun).append(found[2])
        return begun, finished

    def all(self) -> Counter[str]:
        """How often each task was begun, by anyone."""
        count: Counter[str] = Counter()
        for name in self._readers:
            for line in (self._folder / name).read_text(errors="replace").splitlines():
                if (found := _LINE.search(line)) and found[1] == "processing task":
                    count[found[2]] += 1
        return count

    def begun_again(self, uuids: set[str]) -> int:
        """How often a worker began what another one had begun already."""
        count = self.all()
        return sum(count[uuid] - 1 for uuid in uuids if count[uuid])


def _has_journal(init: int) -> bool:
    """Whether a server has got so far that it writes a log: journalctl would not see it come."""
    logs = Path(f"/proc/{init}/root/run/log/journal"), Path(f"/proc/{init}/root/var/log/journal")
    return any(found for folder in logs for found in folder.glob("*/system.journal"))
