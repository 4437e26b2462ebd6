"""Where a task is, and which ones are shown."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from oat.messages import ProgressReport
from oat.records import Status, TaskRow
from oat.services.in_flight import WorkStage
from oat.services.progress import REPORT_TIMEOUT, SHOWN, SHOWN_IN_FLIGHT, ProgressView, Stage, stage_of

NOW = datetime(2026, 1, 1, 12)


def seconds(count):
    return timedelta(seconds=count)


def row(number, status=Status.WAITING, unpublished=False, sent=60.0, finished=None):
    """A record whose task was sent so many seconds ago."""
    return TaskRow(
        UUID(int=number), status, 1, NOW - seconds(sent), finished and NOW - seconds(finished), None, unpublished
    )


def report(pid=1, **tasks):
    return ProgressReport(worker="host", pid=pid, **tasks)


def ids(*numbers):
    return [UUID(int=number) for number in numbers]


def shown(view, rows, now=NOW, monotonic=100.0, unacknowledged=0):
    """The stage and the worker of each task that is shown."""
    progress = view.update(rows, now, monotonic, unacknowledged)
    return {task.uuid.int: (str(task.stage), task.worker) for task in progress.tasks}


@pytest.mark.parametrize(
    ("status", "unpublished", "reported", "result_queued", "stage"),
    [
        (Status.WAITING, True, None, False, Stage.UNPUBLISHED),
        (Status.WAITING, False, None, False, Stage.QUEUED),
        (Status.WAITING, False, WorkStage.PREFETCHED, False, Stage.PREFETCHED),
        (Status.WAITING, False, WorkStage.RENDERING, False, Stage.RENDERING),
        (Status.WAITING, False, WorkStage.STORED, False, Stage.STORED),
        (Status.WAITING, False, None, True, Stage.RESULT_QUEUED),
        pytest.param(
            Status.WAITING, True, WorkStage.RENDERING, False, Stage.RENDERING, id="published, not marked"
        ),
        pytest.param(Status.WAITING, True, None, True, Stage.UNPUBLISHED, id="lost, to be published again"),
        pytest.param(Status.WAITING, False, WorkStage.RENDERING, True, Stage.RENDERING, id="redelivered"),
        pytest.param(Status.DONE, False, WorkStage.STORED, True, Stage.DONE, id="the report is older"),
        pytest.param(
            Status.CANCELLED, False, WorkStage.RENDERING, False, Stage.CANCELLED, id="cancelled too late"
        ),
        (Status.FAILED, False, None, False, Stage.FAILED),
    ],
)
def test_the_stage_of_a_task(status, unpublished, reported, result_queued, stage):
    assert stage_of(status, unpublished, reported, result_queued) == stage


def test_the_tasks_of_a_worker_that_stops_reporting_are_queued_and_then_with_another_one():
    view, rows = ProgressView(), [row(1), row(2)]
    view.report(report(1, rendering=ids(1), prefetched=ids(2)), 100)
    assert shown(view, rows) == {1: ("rendering", "host:1"), 2: ("prefetched", "host:1")}
    gone = 100 + REPORT_TIMEOUT + 0.1
    assert shown(view, rows, monotonic=gone) == {1: ("queued", None), 2: ("queued", None)}
    view.report(report(2, rendering=ids(1)), gone)
    assert shown(view, rows, monotonic=gone) == {1: ("rendering", "host:2"), 2: ("queued", None)}


def test_a_silent_worker_keeps_its_tasks_while_so_many_are_unacknowledged():
    view, rows = ProgressView(), [row(1), row(2), row(3)]
    view.report(report(1, rendering=ids(1), prefetched=ids(2)), 100)
    stopped = 100 + REPORT_TIMEOUT + 0.1
    view.report(report(2, rendering=ids(3)), stopped)
    with_first = {1: ("rendering", "host:1"), 2: ("prefetched", "host:1"), 3: ("rendering", "host:2")}
    for unacknowledged in (None, 3):
        assert shown(view, rows, monotonic=stopped, unacknowledged=unacknowledged) == with_first
        assert view.update(rows, NOW, stopped, unacknowledged).workers == ["host:2"]
    queued = {1: ("queued", None), 2: ("queued", None), 3: ("rendering", "host:2")}
    assert shown(view, rows, monotonic=stopped, unacknowledged=2) == queued


def test_the_tasks_of_a_worker_that_was_killed_are_unpublished_until_they_are_sent_again():
    view, rows = ProgressView(), [row(1), row(2)]
    view.report(report(1, rendering=ids(1), prefetched=ids(2)), 100)
    shown(view, rows, unacknowledged=2)
    view.report(report(1, rendering=ids(1), prefetched=ids(2), killed=True), 101)
    assert shown(view, rows, monotonic=101.5, unacknowledged=2) == {
        1: ("unpublished", None),
        2: ("unpublished", None),
    }
    assert view.update(rows, NOW, 101.5, 2).workers == []
    sent_again = [row(1, sent=0.1), row(2)]
    assert shown(view, sent_again, monotonic=101.5)[1] == ("queued", None)
    view.report(report(2, rendering=ids(1, 2)), 102)
    assert shown(view, sent_again, monotonic=102) == {1: ("rendering", "host:2"), 2: ("rendering", "host:2")}


def test_a_result_of_a_worker_that_was_killed_is_queued():
    view, rows = ProgressView(), [row(1)]
    view.report(report(1, stored=ids(1), finished={UUID(int=1): 0.1}, killed=True), 100)
    assert shown(view, rows) == {1: ("result queued", None)}


def test_what_a_silent_worker_had_may_be_elsewhere_task_by_task():
    view = ProgressView()
    view.report(report(1, rendering=ids(1), prefetched=ids(2, 3, 4)), 100)
    stopped = 100 + REPORT_TIMEOUT + 0.1
    view.report(report(2, rendering=ids(2)), stopped)
    rows = [row(1), row(2), row(3, unpublished=True), row(4, Status.DONE, finished=1)]
    assert shown(view, rows, monotonic=stopped, unacknowledged=2) == {
        1: ("rendering", "host:1"), 2: ("rendering", "host:2"), 3: ("unpublished", None), 4: ("done", None),
    }  # fmt: skip


def test_of_a_task_that_two_workers_have_the_one_counts_that_is_further():
    view = ProgressView()
    view.report(report(1, stored=ids(1)), 100)
    view.report(report(2, prefetched=ids(1)), 100)
    assert shown(view, [row(1)]) == {1: ("stored", "host:1")}


def test_a_result_stays_queued_when_its_worker_is_gone():
    view = ProgressView()
    view.report(report(finished={UUID(int=1): 2.0}), 100)
    assert shown(view, [row(1)], monotonic=200.0, now=NOW + seconds(100)) == {1: ("result queued", None)}


def test_a_result_of_an_earlier_attempt_does_not_count():
    view = ProgressView()
    view.report(report(finished={UUID(int=1): 20.0}), 100)
    assert shown(view, [row(1, sent=10)]) == {1: ("queued", None)}


def test_since_is_when_a_task_moved():
    view = ProgressView()
    [before] = view.update([row(1)], NOW, 100, 0).tasks
    view.report(report(rendering=ids(1)), 110)
    [moved] = view.update([row(1)], NOW + seconds(10), 110, 1).tasks
    [same] = view.update([row(1)], NOW + seconds(11), 111, 1).tasks
    assert [each.since.replace(tzinfo=None) for each in (before, moved, same)] == [
        NOW - seconds(60), NOW + seconds(10), NOW + seconds(10),
    ]  # fmt: skip


def test_what_workers_have_is_shown_first_then_what_moved_last_and_what_is_next():
    view = ProgressView()
    view.report(report(prefetched=ids(*range(1, 101))), 100)
    with_worker = [row(number, sent=5000) for number in range(1, 101)]
    queued = [row(number, sent=4000 - number) for number in range(1001, 2001)]
    done = [row(number, Status.DONE, sent=5000, finished=number - 3000) for number in range(3001, 3101)]
    stages = shown(view, [*with_worker, *queued, *done])
    assert len(stages) == SHOWN
    assert sum(worker is not None for _, worker in stages.values()) == SHOWN_IN_FLIGHT
    others = (SHOWN - SHOWN_IN_FLIGHT) // 2
    assert set(stages) >= set(range(3001, 3001 + others)), "those done last"
    assert set(stages) >= set(range(1001, 1001 + others)), "the oldest of the queue"


def test_few_are_all_shown():
    view = ProgressView()
    rows = [row(number, sent=number) for number in range(1, SHOWN + 1)]
    assert len(shown(view, rows)) == SHOWN
    assert view.watched(100) == {each.uuid for each in rows}


def test_what_is_read_is_bounded_and_of_a_silent_worker_all():
    view = ProgressView()
    assert view.beside_in_flight() == SHOWN
    view.report(report(1, rendering=ids(1, 2), prefetched=ids(*range(1000, 1100))), 100)
    assert len(view.watched(100)) == SHOWN_IN_FLIGHT
    assert view.watched(100) >= set(ids(1, 2)), "what is furthest"
    shown(view, [row(number) for number in [1, 2, *range(1000, 1100)]])
    assert view.beside_in_flight() == SHOWN - SHOWN_IN_FLIGHT
    view.report(report(2, rendering=ids(3)), 110)
    assert view.watched(110) >= set(ids(1, 2, 3, *range(1000, 1100)))
