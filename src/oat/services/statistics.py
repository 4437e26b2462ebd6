"""The statistics: how the system is doing, in numbers, and what is stuck."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil

from pydantic import AwareDatetime, BaseModel, Field

from oat.messaging import DEAD_LETTERS, RESULTS, TASKS
from oat.records import Finished, Status, is_in_future

WINDOW = 60.0
"""Seconds over which the rates are averaged: long enough for slow images, short enough to show a change."""

SAMPLE = 500
"""Latest finished tasks of which the rates are made, at most: a busy minute has tens of thousands."""


class Worker(BaseModel):
    """A worker whose results came in the last minute."""

    name: str = Field(description="Its host.")
    images_per_second: float
    last_seen: AwareDatetime


class Statistics(BaseModel):
    """The state of the system: counts, rates and warnings."""

    at: AwareDatetime
    waiting: int = Field(description="Recorded and not yet done, failed or cancelled.")
    done: int
    failed: int
    cancelled: int
    unpublished: int = Field(description="Of the waiting ones: still to be published.")
    queued: int | None = Field(description="Of the waiting ones: in the queue of tasks; null without a broker.")
    unacknowledged: int | None = Field(
        description="Of the waiting ones: with a worker, or the result with a tracker; null without a broker."
    )
    results: int | None = Field(description="Results in their queue; null without a broker.")
    dead_letters: int | None = Field(description="Messages that could not be processed; null without a broker.")
    done_per_minute: float
    failed_per_minute: float
    p50: float | None = Field(description="Seconds from record to done, half of the latest ones took less.")
    p95: float | None = Field(description="Seconds from record to done, 95 % of the latest ones took less.")
    workers: list[Worker] = Field(description="The workers whose results came in the last minute.")
    warnings: list[str] = Field(description="What seems to be stuck, in words.")


def summarise(
    counts: Mapping[Status, int],
    unpublished: tuple[int, datetime | None],
    finished: Sequence[Finished],
    queues: Mapping[str, int] | None,
    lease: float,
    now: datetime,
) -> Statistics:
    """Return the statistics of what was counted.

    Args:
        counts: how many records there are of each state.
        unpublished: how many tasks are still to be published, and since when the oldest is.
        finished: the latest of the last `WINDOW` seconds, at most `SAMPLE`, latest first.
        queues: messages ready in each queue, unacknowledged ones not counted; None without a broker.
        lease: seconds after which an unpublished task is overdue.
        now: by the database's clock, UTC, without a time zone, like the times of the records.
    """
    span = WINDOW
    if len(finished) == SAMPLE:  # the sample does not reach back that far
        span = max(0.001, (now - finished[-1].finished_at).total_seconds())
    done = [each for each in finished if each.status == Status.DONE]
    durations = sorted(max(0.0, (each.finished_at - each.created_at).total_seconds()) for each in done)
    known = min(unpublished[0], counts[Status.WAITING])
    queued = results = dead_letters = unacknowledged = None
    if queues is not None:
        queued, results, dead_letters = queues[TASKS], queues[RESULTS], queues[DEAD_LETTERS]
        unacknowledged = max(0, counts[Status.WAITING] - known - queued - results)
    statistics = Statistics(
        at=now.replace(tzinfo=UTC),
        waiting=counts[Status.WAITING],
        done=counts[Status.DONE],
        failed=counts[Status.FAILED],
        cancelled=counts[Status.CANCELLED],
        unpublished=unpublished[0],
        queued=queued,
        unacknowledged=unacknowledged,
        results=results,
        dead_letters=dead_letters,
        done_per_minute=len(done) / span * 60,
        failed_per_minute=(len(finished) - len(done)) / span * 60,
        p50=_percentile(durations, 0.5),
        p95=_percentile(durations, 0.95),
        workers=_workers(finished, span),
        warnings=[],
    )
    oldest = unpublished[1]
    overdue = oldest is not None and (oldest < now - timedelta(seconds=2 * lease) or is_in_future(oldest, now))
    return statistics.model_copy(update={"warnings": stuck(statistics, overdue)})


def _workers(finished: Sequence[Finished], span: float) -> list[Worker]:
    """Return the workers of the tasks that were `finished` (latest first) in the last `span` seconds, by name."""
    images = Counter(each.worker for each in finished if each.status == Status.DONE)
    last_seen = {each.worker: each.finished_at for each in reversed(finished) if each.worker}
    return [
        Worker(name=name, images_per_second=images[name] / span, last_seen=seen.replace(tzinfo=UTC))
        for name, seen in sorted(last_seen.items())
    ]


def stuck(now: Statistics, overdue: bool) -> list[str]:
    """Return a warning for everything that seems to be stuck.

    Args:
        now: the statistics.
        overdue: whether a task has been unpublished for more than twice the lease.
    """
    idle = not now.done_per_minute and not now.failed_per_minute
    warnings = (
        (now.queued is None, "The broker cannot be reached: tasks are recorded and wait to be sent."),
        (
            overdue,
            "Tasks have been waiting for long to be sent: no producer, tracker or gallery reaches the broker.",
        ),
        (idle and bool(now.queued), "Tasks are queued and no result came for a minute: is a worker running?"),
        (
            idle and not now.queued and bool(now.unacknowledged),
            "Tasks are on their way and no result came for a minute: a worker takes its time, or they are lost, "
            "and a running tracker sends them again.",
        ),
        (idle and bool(now.results), "Results are queued and none was taken for a minute: is a tracker running?"),
        (
            bool(now.dead_letters),
            "There are dead letters: messages that could not be processed; oat dead-letters list shows why.",
        ),
    )
    return [warning for applies, warning in warnings if applies]


def _percentile(ordered: Sequence[float], part: float) -> float | None:
    return ordered[ceil(part * len(ordered)) - 1] if ordered else None
