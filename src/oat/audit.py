"""The audit: do records, images and queues add up?

What is under way (tasks that wait, messages in queues, files being written) is counted, and is no problem. It may
run beside the services: a record is there before its image, and an image before its record is done.
"""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from oat.broker import DEAD_LETTERS, NAMES, RESULTS, TASKS, Broker
from oat.database import CHUNK, Database, Record
from oat.options import BrokerUrl, DatabaseUrl, LogFile, Target, make_settings, places
from oat.schema import Status
from oat.settings import Settings
from oat.store import Store

MOST_NAMED = 1000
"""How many cases of one problem are listed; all are counted."""

READERS = 8
"""Images read at once: an object store takes its time for each."""


_ONCE_MORE = "set the record's status to 'waiting' and its sendings to 1: a tracker has it rendered again"


class Problem(StrEnum):
    """What does not add up, and what to do about it."""

    IMAGE_MISSING = f"done, but the image is missing: restore the file, or {_ONCE_MORE}"
    IMAGE_DIFFERS = f"done, but the image has another checksum: delete the image, and {_ONCE_MORE}"
    NO_REASON = "failed without a reason: look into the logs of the workers"
    ANSWER_LOST = f"failed, but the image is there: {_ONCE_MORE}"
    UNSENT = "recorded long ago and never sent: start a tracker or a producer"
    UNANSWERED = "sent long ago, unanswered, and in no queue: start a tracker, which sends it again"
    NO_RECORD = "an image without a record: delete it, or see whether it belongs to another database"
    STRAY_NOTE = "a task to be published that has no record: delete it from the table outbox"
    LEFT_OVER = "a temporary file of a killed worker: delete it, or start a worker on that machine"


@dataclass
class Report:
    """What an audit has found."""

    records: Counter[str] = field(default_factory=Counter)
    images: int = 0
    unsent: int = 0
    queues: dict[str, int] = field(default_factory=dict)
    """Messages that wait in each queue, those in someone's hands not counted."""
    problems: Counter[Problem] = field(default_factory=Counter)
    cases: dict[Problem, list[str]] = field(default_factory=dict)
    """UUIDs or file names, `MOST_NAMED` of each problem at most."""

    def add(self, problem: Problem, name: str) -> None:
        """Note that `name` has `problem`."""
        self.problems[problem] += 1
        cases = self.cases.setdefault(problem, [])
        if len(cases) < MOST_NAMED:
            cases.append(name)


def judge(record: Record, image: str | None, quiet: bool, now: datetime, settings: Settings) -> Problem | None:
    """Return what is wrong with `record`, None if nothing.

    Args:
        record: what the database knows.
        image: the checksum of its image, None if there is no image.
        quiet: whether no message waits in the queues.
        now: in UTC, without a time zone, as in the records.
        settings: how long a task may be unsent, and how long unanswered.
    """
    problem: Problem | None = None
    match record.status:
        case Status.DONE if image is None:
            problem = Problem.IMAGE_MISSING
        case Status.DONE if image != record.checksum:
            problem = Problem.IMAGE_DIFFERS
        case Status.FAILED if not record.error:
            problem = Problem.NO_REASON
        case Status.FAILED if image is not None and quiet:
            problem = Problem.ANSWER_LOST
        case Status.WAITING if record.unsent and _is_overdue(record, settings.lease, now):
            problem = Problem.UNSENT
        case Status.WAITING if not record.unsent and quiet:
            patience = settings.resend_after * 2 ** (record.sendings - 1)
            problem = Problem.UNANSWERED if _is_overdue(record, patience, now) else None
    return problem


def _is_overdue(record: Record, patience: float, now: datetime) -> bool:
    return now - record.sent_at > timedelta(seconds=2 * patience)


class Audit:
    """Compares the records with the images and the queues, in batches.

    Args:
        settings: where they are.
        on_start: called with the number of records.
        on_progress: called with the number of records compared since the last call.
    """

    def __init__(
        self, settings: Settings, on_start: Callable[[int], None], on_progress: Callable[[int], None]
    ) -> None:
        self.settings = settings
        self.store = Store(settings.target)
        self.database = Database(settings.database_url, threading.Event())
        self._on_start, self._on_progress = on_start, on_progress
        self._report = Report()

    def run(self) -> Report:
        """Compare everything once."""
        self.database.prepare()
        self._measure_queues()
        self._on_start(self.database.count())
        for uuid in self.database.strays():
            self._report.add(Problem.STRAY_NOTE, uuid)
        for name in self.store.left_over():
            self._report.add(Problem.LEFT_OVER, name)
        self._compare_images()
        self._compare_records()
        self.database.close()
        return self._report

    def _measure_queues(self) -> None:
        broker = Broker(self.settings, threading.Event())
        broker.serve(lambda: self._report.queues.update({name: broker.size(name) for name in NAMES}))

    def _compare_images(self) -> None:
        for uuids in _batches(self.store.uuids()):
            self._report.images += len(uuids)
            known = self.database.statuses(uuids)
            for uuid in uuids:
                if uuid not in known:
                    self._report.add(Problem.NO_RECORD, str(uuid))

    def _compare_records(self) -> None:
        quiet = self._report.queues[TASKS] == self._report.queues[RESULTS] == 0
        after: UUID | None = None
        with ThreadPoolExecutor(READERS) as readers:
            while records := self.database.page(after):
                now = datetime.now(UTC).replace(tzinfo=None)
                for record, image in zip(records, readers.map(self._checksum, records), strict=True):
                    self._report.records[record.status] += 1
                    self._report.unsent += record.unsent
                    if problem := judge(record, image, quiet, now, self.settings):
                        self._report.add(problem, str(record.uuid))
                self._on_progress(len(records))
                after = records[-1].uuid

    def _checksum(self, record: Record) -> str | None:
        if record.status == Status.WAITING:
            return None
        try:
            return hashlib.sha256(self.store.get(record.uuid)).hexdigest()
        except FileNotFoundError:
            return None


def _batches(uuids: Iterable[UUID]) -> Iterator[list[UUID]]:
    rest = iter(uuids)
    while batch := list(islice(rest, CHUNK)):
        yield batch


def audit(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
    target: Target = None,
    broker_url: BrokerUrl = None,
    database_url: DatabaseUrl = None,
    log_file: LogFile = None,
) -> None:
    """Compare records, images and queues; exit with 1 if anything does not add up."""
    settings = make_settings(broker_url=broker_url, database_url=database_url, target=target, log_file=log_file)
    columns = TextColumn("Comparing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        records = bar.add_task("records", total=None)
        report = Audit(
            settings,
            on_start=lambda total: bar.update(records, total=total),
            on_progress=lambda count: bar.advance(records, count),
        ).run()
    if as_json:
        print(json.dumps({**vars(report), "problems": {p.name: n for p, n in report.problems.items()},
                          "cases": {p.name: names for p, names in report.cases.items()}}))  # fmt: skip
    else:
        _print_report(report, settings)
    if report.problems:
        raise typer.Exit(1)


def _print_report(report: Report, settings: Settings) -> None:
    states = ", ".join(f"{report.records[status]} {status}" for status in Status)
    queues = report.queues
    for what, found in (
        *places(settings),
        ("records", f"{report.records.total()}: {states}"),
        ("stored", f"{report.images} image(s)"),
        ("unsent", f"{report.unsent} task(s)"),
        ("queued", f"{queues[TASKS]} task(s), {queues[RESULTS]} result(s), {queues[DEAD_LETTERS]} dead letter(s)"),
    ):
        print(f"{what:9}{found}")
    for problem, count in report.problems.items():
        print(f"\n{count} × {problem}", *report.cases[problem], sep="\n  ")
    print("\nThis does not add up." if report.problems else "\nEverything adds up.")
