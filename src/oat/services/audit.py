"""The audit: do records, images and queues add up?

What is in flight (waiting tasks, messages in queues, files being written) is counted, and is no problem. An audit
may run beside the services: a record is there before its image, and an image before its record is done.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from uuid import UUID

from pydantic import BaseModel, Field

from oat.messaging import QUEUES, RESULTS, TASKS, Broker
from oat.records import BATCH_SIZE, Database, Record, Status, is_in_future, resend_timeout
from oat.settings import Settings
from oat.storage import Store

MAX_CASES = 1000
"""Cases of one problem that are listed, so that a report stays readable; all are counted."""

READERS = 8
"""Threads that read images: an object store takes milliseconds for each, and reads many at the same time."""


COMPARED = frozenset({Status.DONE, Status.FAILED})
"""The states whose records are compared with their images: a cancelled one may have an image that was stored
before a worker died, and need not have one; a retry or a delete takes care of it."""


class Problem(StrEnum):
    """What does not add up."""

    IMAGE_MISSING = "IMAGE_MISSING"
    IMAGE_DIFFERS = "IMAGE_DIFFERS"
    NO_REASON = "NO_REASON"
    RESULT_LOST = "RESULT_LOST"
    UNPUBLISHED = "UNPUBLISHED"
    UNANSWERED = "UNANSWERED"
    ORPHANED_IMAGE = "ORPHANED_IMAGE"
    ORPHANED_OUTBOX_ROW = "ORPHANED_OUTBOX_ROW"
    STALE_TEMPORARY_FILE = "STALE_TEMPORARY_FILE"
    IN_FUTURE = "IN_FUTURE"


ADVICE = {
    Problem.IMAGE_MISSING: "done, but the image is missing: restore the file, or have it made again (oat retry)",
    Problem.IMAGE_DIFFERS: "done, but the image has another checksum: have it made again (oat retry)",
    Problem.NO_REASON: "failed without a reason: look into the logs of the workers, and resend it (oat retry)",
    Problem.RESULT_LOST: "failed, but the image is there: resend it (oat retry)",
    Problem.UNPUBLISHED: "recorded long ago and never published: start a tracker (oat-tracker), which does it",
    Problem.UNANSWERED: "published long ago, no result, in no queue: start a tracker (oat-tracker), it resends it",
    Problem.ORPHANED_IMAGE: "an image without a record: delete it, or see whether it belongs to another database",
    Problem.ORPHANED_OUTBOX_ROW: "a task to be published that has no record: delete it from the table outbox",
    Problem.STALE_TEMPORARY_FILE: "a killed worker's temporary file: delete it, or start a worker on that machine",
    Problem.IN_FUTURE: "times in the future, a clock was ahead: start a tracker (oat-tracker), it corrects them",
}
"""What each problem means, and what to do about it."""


class Report(BaseModel):
    """What an audit has found."""

    records: dict[Status, int] = Field({}, description="How many there are of each state.")
    images: int = 0
    unpublished: int = Field(0, description="Tasks still to be published.")
    queues: dict[str, int] = Field(
        {}, description="Messages ready in each queue, unacknowledged ones not counted."
    )
    problems: dict[Problem, int] = Field({}, description="How many cases there are of each problem.")
    cases: dict[Problem, list[str]] = Field(
        {}, description=f"Their UUIDs or file names, {MAX_CASES} of each problem at most."
    )

    def add(self, problem: Problem, name: str) -> None:
        """Count a case of `problem`, and list its `name`."""
        self.problems[problem] = self.problems.get(problem, 0) + 1
        cases = self.cases.setdefault(problem, [])
        if len(cases) < MAX_CASES:
            cases.append(name)


class Step(BaseModel):
    """The progress of an audit."""

    compared: int
    records: int = Field(description="How many there are to compare.")
    report: Report | None = Field(None, description="What it has found; only in its last step.")


def judge(
    record: Record, image: str | None, queues_empty: bool, now: datetime, settings: Settings
) -> Problem | None:
    """Return the problem that `record` has, None if it has none.

    Args:
        record: the row of the database.
        image: the checksum of its image, None if there is no image.
        queues_empty: whether no task and no result waits in a queue.
        now: by the database's clock, in UTC, without a time zone, as in the records.
        settings: `lease` and `resend_after`, after twice which a task is overdue.
    """
    problem: Problem | None = None
    match record.status:
        case Status.DONE if image is None:
            problem = Problem.IMAGE_MISSING
        case Status.DONE if image != record.checksum:
            problem = Problem.IMAGE_DIFFERS
        case Status.FAILED if not record.error:
            problem = Problem.NO_REASON
        case Status.FAILED if image is not None and queues_empty:
            problem = Problem.RESULT_LOST
        case Status.WAITING if record.unpublished and _is_overdue(record, timedelta(seconds=settings.lease), now):
            problem = Problem.UNPUBLISHED
        case Status.WAITING if not record.unpublished and queues_empty:
            timeout = resend_timeout(settings.resend_after, record.attempts)
            problem = Problem.UNANSWERED if _is_overdue(record, timeout, now) else None
    times = filter(None, (record.created_at, record.sent_at, record.finished_at))
    if problem is None and any(is_in_future(each, now) for each in times):
        problem = Problem.IN_FUTURE
    return problem


def _is_overdue(record: Record, timeout: timedelta, now: datetime) -> bool:
    return now - record.sent_at > 2 * timeout


def run_audit(settings: Settings) -> Iterator[Step]:
    """Compare everything at the addresses in `settings`; waits for servers that cannot be reached."""
    queues: dict[str, int] = {}
    broker = Broker(settings, threading.Event())
    database = Database(settings.database_url, threading.Event())
    database.prepare()
    broker.serve(lambda: queues.update({name: broker.size(name) for name in QUEUES}))
    yield from compare(settings, database, Store(settings.target, settings.limits.pixels), queues)
    database.close()


def compare(settings: Settings, database: Database, store: Store, queues: Mapping[str, int]) -> Iterator[Step]:
    """Compare the records with the images and the queues, in batches.

    Args:
        settings: `lease` and `resend_after`, after twice which a task is overdue.
        database: the records.
        store: the images.
        queues: messages ready in each queue, counted before the call.
    """
    report = Report(queues=dict(queues))
    total, compared = database.count(), 0
    yield Step(compared=0, records=total)
    for uuid in database.orphaned_outbox_rows():
        report.add(Problem.ORPHANED_OUTBOX_ROW, uuid)
    for name in store.stale_files():
        report.add(Problem.STALE_TEMPORARY_FILE, name)
    for uuids in _batches(store.uuids()):
        report.images += len(uuids)
        known = database.statuses(uuids)
        for each in uuids:
            if each not in known:
                report.add(Problem.ORPHANED_IMAGE, str(each))
        yield Step(compared=0, records=total)
    states: Counter[Status] = Counter()
    queues_empty = queues[TASKS] == queues[RESULTS] == 0
    after: UUID | None = None
    while records := database.page(after):
        now = database.now()
        for record, image in zip(records, _checksums(store, records), strict=True):
            states[record.status] += 1
            report.unpublished += record.unpublished
            if problem := judge(record, image, queues_empty, now, settings):
                report.add(problem, str(record.uuid))
        after = records[-1].uuid
        compared += len(records)
        yield Step(compared=compared, records=total)
    report.records = dict(states)
    yield Step(compared=compared, records=total, report=report)


def checksum(store: Store, uuid: UUID) -> str | None:
    """Return the SHA-256 of the image of `uuid`, hexadecimal, None if there is no image."""
    try:
        return hashlib.sha256(store.get(uuid)).hexdigest()
    except FileNotFoundError:
        return None


def _checksums(store: Store, records: list[Record]) -> list[str | None]:
    with ThreadPoolExecutor(READERS) as readers:
        return list(
            readers.map(lambda each: checksum(store, each.uuid) if each.status in COMPARED else None, records)
        )


def _batches(uuids: Iterable[UUID]) -> Iterator[list[UUID]]:
    rest = iter(uuids)
    while batch := list(islice(rest, BATCH_SIZE)):
        yield batch
