"""What a worker reports, and how often."""

import threading
from uuid import UUID, uuid4

import pytest

import oat.services.reporter
from helpers.slow_tasks import disc
from oat.messages import MAX_REPORTED, parse_progress_report
from oat.messaging import Delivery
from oat.messaging.broker import Broker
from oat.services.in_flight import InFlight, WorkStage
from oat.services.reporter import MAX_FINISHED, PROBE_INTERVAL, REPORT_INTERVAL, Reporter
from oat.settings import Settings


@pytest.fixture
def reported(tmp_path, monkeypatch):
    """Calls a function with a reporter and a clock, while somebody watches; returns the reports."""
    clock = [1000.0]
    monkeypatch.setattr(oat.services.reporter.time, "monotonic", lambda: clock[0])

    def call(use, watched=True):
        settings = Settings(broker_url=f"filesystem://{tmp_path}")
        broker, watcher = Broker(settings, threading.Event()), Broker(settings, threading.Event())
        reports = []

        def step(seconds):
            clock[0] += seconds
            reporter.report()
            reports.extend(map(parse_progress_report, watcher.progress.received()))

        def session():
            if watched:
                watcher.progress.watch()
            use(reporter, in_flight, step)
            watcher.progress.unwatch()

        in_flight = InFlight(10)
        reporter = Reporter(broker, in_flight, "host")
        broker.serve(lambda: watcher.serve(session))
        return reports

    return call


def add(in_flight):
    task = disc(10).model_copy(update={"uuid": uuid4()})
    return in_flight.add(Delivery(task.to_json(), 1), task)


def test_a_report_names_tasks_by_how_far_they_are(reported):
    uuids = {}

    def use(reporter, in_flight, step):
        for stage in WorkStage:
            work = add(in_flight)
            work.stage = stage
            uuids[str(stage)] = [work.task.uuid]
        reporter.finished(UUID(int=1))
        step(3.0)

    [report] = reported(use)
    assert report.model_dump(include=set(uuids)) == uuids
    assert report.finished == {UUID(int=1): 3.0}
    assert report.worker == "host"


def test_a_report_is_limited(reported):
    def use(reporter, in_flight, step):
        for number in range(MAX_REPORTED + 1):
            add(in_flight)
            reporter.finished(UUID(int=number))
        step(1.0)

    [report] = reported(use)
    assert len(report.prefetched) == MAX_REPORTED
    assert len(report.finished) == MAX_FINISHED
    assert UUID(int=MAX_REPORTED) in report.finished


def test_reports_are_frequent_only_while_somebody_watches(reported):
    due = []

    def use(reporter, in_flight, step):
        step(0)
        step(REPORT_INTERVAL / 2)
        due.append(reporter.due_in())
        step(REPORT_INTERVAL / 2)

    assert len(reported(use)) == 2
    assert reported(use, watched=False) == []
    assert due == [REPORT_INTERVAL / 2, PROBE_INTERVAL - REPORT_INTERVAL / 2]
