"""All three services of one command: the main job, on whatever broker, database and store are set.

Producer and tracker are threads here, the worker is a process of its own.
"""

import io
import math
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from uuid import UUID

from PIL import Image

from oat.commands.supervisor import Supervisor
from oat.records import Database, Status
from oat.services import Producer, Ranges, Tracker
from oat.settings import Settings
from oat.storage import Store

SHEET_SIDE = 1600
"""Pixels of the longer side of a contact sheet."""

TOGETHER = 100
"""Tasks whose states are looked up at once."""

SHORTEST_LOOK, LONGEST_LOOK = 0.02, 0.5
"""Seconds between two looks at how far the tasks are."""


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    total: int
    done: int
    failed: int
    seconds: float
    """Since the tasks were recorded."""

    @property
    def finished(self) -> bool:
        """Whether every task has its answer."""
        return self.done + self.failed == self.total

    @property
    def poll_interval(self) -> float:
        """Seconds until it is worth another look: looking costs what rendering could use."""
        answered = self.done + self.failed
        left = self.seconds * (self.total - answered) / max(1, answered)
        return min(max(min(left, self.seconds) / 2, SHORTEST_LOOK), LONGEST_LOOK)


class Run:
    """Producer, worker and tracker side by side for one set of `tasks` tasks.

    Use as a context manager: entering starts the services, the worker first; leaving stops them.
    """

    def __init__(self, settings: Settings, tasks: int, threads: int, seed: int | None = None) -> None:
        ranges = replace(Ranges(), tasks=(tasks, tasks))
        self.stopping = threading.Event()
        self.store = Store(settings.target)
        self.database = Database(settings.database_url, self.stopping)
        self._producer = Producer(settings, ranges, seed, one_shot=True)
        self._worker = Supervisor(settings, threads)
        self._tracker = Tracker(settings)
        self._threads = [
            threading.Thread(target=self._guard, args=(service,), name=type(service).__name__.lower())
            for service in (self._worker, self._tracker, self._producer)
        ]
        self._fault: Exception | None = None
        self._open: dict[UUID, None] = {}
        self._answered: dict[UUID, Status] = {}
        self._started = 0.0

    def __enter__(self) -> "Run":
        worker, *others = self._threads
        try:
            self.store.prepare()
            worker.start()
            self.database.prepare()
            while not self._worker.is_ready(LONGEST_LOOK):
                self._raise_fault()
                self.wait(0)
        except BaseException:
            self.__exit__()
            raise
        self._started = time.monotonic()
        for thread in others:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for thread in filter(threading.Thread.is_alive, self._threads):
            thread.join()
        self.database.close()

    def stop(self) -> None:
        """Have the services stop; may be called from any thread."""
        self.stopping.set()
        for service in (self._producer, self._worker, self._tracker):
            service.stop()

    def wait(self, seconds: float) -> None:
        """Let it run for some `seconds`.

        Raises:
            KeyboardInterrupt: it has been stopped.
        """
        if self.stopping.wait(seconds):
            raise KeyboardInterrupt

    def renders(self) -> bool:
        """Whether the worker is there, and may have an image in hand; may be called from any thread."""
        return self._worker.at_work

    def progress(self) -> Progress:
        """Look up how far the tasks are.

        Raises:
            Exception: what ended one of the services.
        """
        self._raise_fault()
        known = len(self._open) + len(self._answered)
        self._open |= dict.fromkeys(self._producer.produced[known:])
        # The oldest are answered first: where few of them are, there is no need to ask for the others.
        while oldest := list(islice(self._open, TOGETHER)):
            found = self.database.statuses(oldest)
            answered = {uuid: status for uuid, status in found.items() if status != Status.WAITING}
            for uuid in answered:
                del self._open[uuid]
            self._answered |= answered
            if len(answered) < TOGETHER / 2:
                break
        counts = Counter(self._answered.values())
        return Progress(
            total=self._producer.ranges.tasks[0],
            done=counts[Status.DONE],
            failed=counts[Status.FAILED],
            seconds=time.monotonic() - self._started,
        )

    def contact_sheet(self, path: Path) -> None:
        """Draw all images of this run that are done onto one sheet, and write it to `path`."""
        done = [uuid for uuid in self._producer.produced if self._answered.get(uuid) == Status.DONE]
        draw_contact_sheet(map(self.store.get, done), len(done)).save(path)

    def _guard(self, service: "Producer | Supervisor | Tracker") -> None:
        try:
            service.run()
        except Exception as error:
            self._fault = error

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault


def draw_contact_sheet(images: Iterable[bytes], count: int) -> Image.Image:
    """Return a square sheet with a thumbnail of each of the `count` PNG files `images`, row by row."""
    columns = max(1, math.ceil(math.sqrt(count)))
    cell = max(8, SHEET_SIDE // columns)
    rows = max(1, math.ceil(count / columns))
    sheet = Image.new("RGB", (columns * cell, rows * cell), "#333")
    for position, content in enumerate(images):
        with Image.open(io.BytesIO(content)) as image:
            thumbnail = image.convert("RGB")
        thumbnail.thumbnail((cell - 4, cell - 4))
        left = position % columns * cell + (cell - thumbnail.width) // 2
        top = position // columns * cell + (cell - thumbnail.height) // 2
        sheet.paste(thumbnail, (left, top))
    return sheet
