"""How long the tracker gathers results before it writes them."""

import logging
import threading
from uuid import uuid4

import pytest

from helpers.waiting import wait_until
from oat.messages import Result
from oat.messaging import RESULTS, Broker
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


def test_a_result_without_a_record_is_tried_again_before_it_is_dead_lettered(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(tracker, "RETRY_DELAY", 0.01)
    caplog.set_level(logging.INFO)
    settings = Settings(broker_url=f"filesystem://{tmp_path}/broker", database_url=f"sqlite:///{tmp_path}/oat.db")
    result = Result(uuid=uuid4(), error="nobody asked for it")
    broker = Broker(settings, threading.Event())
    broker.serve(lambda: broker.publish_all(RESULTS, [result.to_json()]))
    service = Tracker(settings)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        wait_until(lambda: list((tmp_path / "broker/dead-letters").glob("*.json")), "the dead letter")
    finally:
        service.stop()
        thread.join()
    assert caplog.text.count(f"processing result {result.uuid}") == tracker.MAX_ATTEMPTS
