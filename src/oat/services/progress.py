"""Progress: where each of a hundred tasks is, from the records and from what workers report.

The records say whether a task is unpublished, waiting or finished; the workers, which of the waiting ones they
have, and whose results they have published. A published task of which no worker reports is queued. A worker that
stops reporting may be dead or only stopped; the number of unacknowledged tasks tells. Plain rules, without I/O.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice, zip_longest
from typing import NamedTuple
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field

from oat.messages import ProgressReport
from oat.records import Status, TaskRow
from oat.services.in_flight import WorkStage

SHOWN = 100
"""Tasks whose stages are shown: as many dots as a person can tell apart."""

SHOWN_IN_FLIGHT = 60
"""Of those, tasks that workers have or whose results are queued, at most: the others are what comes and goes."""

REPORT_TIMEOUT = 3.0
"""Seconds without a report after which a worker counts as silent: six reports."""

MAX_REMEMBERED = 1000
"""Tasks that are remembered as having their results queued, and as lost with their workers."""


class Stage(StrEnum):
    """Where a task is."""

    UNPUBLISHED = "unpublished"
    """Recorded, and in no queue."""
    QUEUED = "queued"
    PREFETCHED = "prefetched"
    RENDERING = "rendering"
    STORED = "stored"
    RESULT_QUEUED = "result queued"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


WITH_WORKER = frozenset({Stage.PREFETCHED, Stage.RENDERING, Stage.STORED})
"""The stages of a task that a worker has in flight."""

IN_FLIGHT = WITH_WORKER | {Stage.RESULT_QUEUED}
"""Those, and the one of a task whose result is."""


class WorkerKey(NamedTuple):
    """What a worker is known by."""

    host: str
    pid: int


class TaskProgress(BaseModel):
    """Where one task is."""

    uuid: UUID = Field(description="The UUID of the task.")
    stage: Stage = Field(description="Its place on the way from the record to the result.")
    worker: str | None = Field(description="The worker that has it, host:pid; or the host that has finished it.")
    attempts: int = Field(description="How often it was put into the outbox, to be published.")
    since: AwareDatetime = Field(description="Since when it is there, as far as was watched.")


class Progress(BaseModel):
    """Where tasks are: those that workers have, those that moved last, and those that are next."""

    workers: list[str] = Field(description="The workers that report: host and process ID.")
    tasks: list[TaskProgress] = Field(description=f"{SHOWN} tasks at most.")


def stage_of(status: Status, unpublished: bool, reported: WorkStage | None, result_queued: bool) -> Stage:
    """Return where a task is.

    Args:
        status: of its record.
        unpublished: whether it is in the outbox, or was lost since it was published.
        reported: what a worker reports of it, None if none does.
        result_queued: whether a worker has published its result since the latest attempt began.
    """
    if status != Status.WAITING:
        return Stage(status)
    if reported is not None:  # also one that is to be published again
        return Stage(reported)
    if unpublished:
        return Stage.UNPUBLISHED
    return Stage.RESULT_QUEUED if result_queued else Stage.QUEUED


@dataclass(frozen=True, slots=True)
class _Position:
    stage: Stage
    worker: str | None
    since: datetime


class ProgressView:
    """The tasks that are shown, from one poll to the next.

    A silent worker keeps its tasks as long as that many are unacknowledged and no worker reports them: it is
    stopped or cut off, and RabbitMQ waits for it. Of one on the embedded broker it is known that it was killed:
    what it had is lost, and in no queue until a tracker has sent it again.
    """

    def __init__(self) -> None:
        self._reports: dict[WorkerKey, tuple[float, ProgressReport]] = {}
        self._finished: dict[UUID, float] = {}
        """When the results of tasks were published, by the monotonic clock."""
        self._lost: dict[UUID, float] = {}
        """When the workers were killed that had them, by the monotonic clock; only with the embedded broker."""
        self._positions: dict[UUID, _Position] = {}

    def report(self, report: ProgressReport, received_at: float) -> None:
        """Take in what a worker reports, `received_at` by the monotonic clock."""
        key = WorkerKey(report.worker, report.pid)
        self._reports[key] = received_at, report
        for uuid, age in report.finished.items():
            _remember(self._finished, uuid, received_at - age)
        if report.killed:
            for uuid in self._in_flight([key]):
                _remember(self._lost, uuid, received_at)
            del self._reports[key]

    def watched(self, monotonic: float) -> set[UUID]:
        """Return the tasks that are shown, those of silent workers, and of the others' as many as can be shown.

        Reading all that busy workers have in flight costs more than the rest.
        """
        reporting = self._reporting(monotonic)
        furthest = reversed(self._in_flight(reporting))
        silent = self._in_flight(self._reports.keys() - reporting)
        return {*self._positions, *silent, *islice(furthest, SHOWN_IN_FLIGHT)}

    def beside_in_flight(self) -> int:
        """Return how many tasks can be shown beside those that were in flight at the last poll."""
        return SHOWN - sum(position.stage in IN_FLIGHT for position in self._positions.values())

    def update(
        self, rows: Iterable[TaskRow], now: datetime, monotonic: float, unacknowledged: int | None
    ) -> Progress:
        """Return the progress of those of the tasks `rows` that are worth showing.

        Args:
            rows: all of `watched` at the same time, and others.
            now: by the database's clock, UTC, without a time zone, like the times of the rows.
            monotonic: the same time by the monotonic clock.
            unacknowledged: how many published tasks are in no queue; None if that is unknown.
        """
        by_uuid = {row.uuid: row for row in rows}
        reporting = self._reporting(monotonic)
        self._forget_dead(reporting, by_uuid, unacknowledged)
        in_flight = self._in_flight(self._reports)
        positions = {
            uuid: self._position(row, in_flight.get(uuid), now, monotonic) for uuid, row in by_uuid.items()
        }
        shown = select(positions, {uuid: row.sent_at for uuid, row in by_uuid.items()})
        self._positions = {uuid: positions[uuid] for uuid in shown}
        return Progress(
            workers=sorted(map(_name, reporting)),
            tasks=[
                TaskProgress(
                    uuid=uuid,
                    stage=position.stage,
                    worker=position.worker,
                    attempts=by_uuid[uuid].attempts,
                    since=position.since.replace(tzinfo=UTC),
                )
                for uuid, position in self._positions.items()
            ],
        )

    def _forget_dead(
        self, reporting: Collection[WorkerKey], rows: Mapping[UUID, TaskRow], unacknowledged: int | None
    ) -> None:
        """Forget the silent workers whose tasks have been requeued, and what they had that somebody else has."""
        elsewhere = self._in_flight(reporting)
        left = math.inf if unacknowledged is None else unacknowledged - len(elsewhere)
        for key in sorted(self._reports.keys() - reporting, key=lambda key: -self._reports[key][0]):
            kept = {
                uuid
                for uuid in self._in_flight([key]).keys() - elsewhere.keys()
                if (row := rows.get(uuid)) and row.status == Status.WAITING and not row.unpublished
            }
            left -= len(kept)
            if left < 0 or not kept:
                del self._reports[key]
            else:
                at, report = self._reports[key]
                stages = {
                    str(each): [uuid for uuid in getattr(report, each) if uuid in kept] for each in WorkStage
                }
                self._reports[key] = at, report.model_copy(update=stages)

    def _reporting(self, monotonic: float) -> set[WorkerKey]:
        return {key for key, (at, _) in self._reports.items() if at >= monotonic - REPORT_TIMEOUT}

    def _in_flight(self, workers: Iterable[WorkerKey]) -> dict[UUID, tuple[WorkStage, str]]:
        """Return what `workers` have, what is furthest last; of a task that two have, what that one says."""
        reports = [(_name(key), self._reports[key][1]) for key in workers]
        return {
            uuid: (stage, name)
            for stage in WorkStage  # the last one wins
            for name, report in reports
            for uuid in getattr(report, stage)
        }

    def _position(
        self, row: TaskRow, reported: tuple[WorkStage, str] | None, now: datetime, monotonic: float
    ) -> _Position:
        def is_since_sent(events: Mapping[UUID, float]) -> bool:
            at = events.get(row.uuid)
            return at is not None and row.sent_at < now - timedelta(seconds=monotonic - at)

        stage, worker = reported or (None, None)
        result_queued = is_since_sent(self._finished)
        unpublished = row.unpublished or (is_since_sent(self._lost) and not result_queued)
        where = stage_of(row.status, unpublished, stage, result_queued)
        worker = worker if where in WITH_WORKER else row.worker
        before = self._positions.get(row.uuid)
        if before is None:
            return _Position(where, worker, row.finished_at or row.sent_at)
        same = (before.stage, before.worker) == (where, worker)
        return before if same else _Position(where, worker, now)


def select(positions: Mapping[UUID, _Position], sent_at: Mapping[UUID, datetime]) -> Sequence[UUID]:
    """Return up to `SHOWN` tasks: first what workers have, then in turn what moved last and what is next."""
    last_moved = sorted(positions, key=lambda uuid: (positions[uuid].since, uuid), reverse=True)
    chosen = [uuid for uuid in last_moved if positions[uuid].stage in IN_FLIGHT][:SHOWN_IN_FLIGHT]
    others = [uuid for uuid in last_moved if positions[uuid].stage not in IN_FLIGHT]
    queued = [uuid for uuid in others if positions[uuid].stage in (Stage.UNPUBLISHED, Stage.QUEUED)]
    queued.sort(key=lambda uuid: (sent_at[uuid], uuid))
    in_turn = [uuid for pair in zip_longest(others, queued) for uuid in pair if uuid is not None]
    return list(dict.fromkeys([*chosen, *in_turn]))[:SHOWN]


def _remember(events: dict[UUID, float], uuid: UUID, at: float) -> None:
    """Note when something happened to a task; the oldest of more than `MAX_REMEMBERED` are forgotten."""
    events.pop(uuid, None)
    events[uuid] = at
    if len(events) > MAX_REMEMBERED:
        del events[next(iter(events))]


def _name(worker: WorkerKey) -> str:
    return f"{worker.host}:{worker.pid}"
