"""How long the tracker gathers results before it writes them."""

import logging
import threading
from contextlib import contextmanager
from uuid import uuid4

import pytest

from helpers.tasks import some_tasks
from helpers.waiting import wait_until
from oat.messages import Result
from oat.messaging import RESULTS, Broker
from oat.records.database import Database
from oat.records.states import Status
from oat.services import Tracker, tracker
from oat.services.tracker import EFFICIENT_BATCH, MIN_FLUSH_INTERVAL, SLOW_FLUSH_INTERVAL, next_flush_interval
from oat.settings import Settings


@pytest.mark.parametrize(
    ("results", "seconds", "flush_interval"),
    [
        pytest.param(10, 60.0, MIN_FLUSH_INTERVAL, id="after a pause"),
        pytest.param(5, 0.1, SLOW_FLUSH_INTERVAL, id="they come slowly"),
        pytest.param(EFFICIENT_BATCH, 0.2, 0.2, id="enough"),
        pytest.param(2 * EFFICIENT_BATCH, 0.3, 0.15, id="more than enough"),
        pytest.param(500, 0.1, MIN_FLUSH_INTERVAL, id="a flood"),
        pytest.param(10, 0.05, 0.1, id="perhaps the first of a flood"),
    ],
)
def test_the_flush_interval_aims_at_enough_results_for_a_transaction(results, seconds, flush_interval):
    assert next_flush_interval(results, seconds) == pytest.approx(flush_interval)


@pytest.fixture
def settings(tmp_path):
    return Settings(broker_url=f"filesystem://{tmp_path}/broker", database_url=f"sqlite:///{tmp_path}/oat.db")


@contextmanager
def running_tracker(settings):
    service = Tracker(settings)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        yield
    finally:
        service.stop()
        thread.join()


def send(settings, results):
    broker = Broker(settings, threading.Event())
    broker.serve(lambda: broker.publish_all(RESULTS, [result.to_json() for result in results]))


def test_a_result_without_a_record_is_tried_again_before_it_is_dead_lettered(
    settings, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(tracker, "RETRY_DELAY", 0.01)
    monkeypatch.setattr(tracker, "POLL_TIMEOUT", 0.01)
    caplog.set_level(logging.INFO)
    result = Result(uuid=uuid4(), error="nobody asked for it")
    send(settings, [result])
    with running_tracker(settings):
        wait_until(lambda: list((tmp_path / "broker/dead-letters").glob("*.json")), "the dead letter")
    assert caplog.text.count(f"processing result {result.uuid}") == tracker.MAX_ATTEMPTS


def test_more_results_without_a_record_than_are_prefetched_do_not_hold_up_the_others(
    settings, tmp_path, monkeypatch
):
    orphans = tracker.PREFETCH + 100
    monkeypatch.setattr(tracker, "RETRY_DELAY", 3600)
    database = Database(settings.database_url, threading.Event())
    database.prepare()
    (task,) = some_tasks(1)
    database.record([task])
    send(settings, [Result(uuid=uuid4(), error="deleted meanwhile") for _ in range(orphans)])
    send(settings, [Result(uuid=task.uuid, error="beyond the limits")])
    with running_tracker(settings):
        wait_until(lambda: database.statuses([task.uuid])[task.uuid] is Status.FAILED, "its record")
    database.close()
    # Those that were retried when it ended were not acknowledged.
    assert len(list((tmp_path / "broker/dead-letters").glob("*.json"))) == orphans - tracker.MAX_RETRIED
