"""A tracker that loses its connection to RabbitMQ while it waits for its database."""

import logging
import sqlite3
import threading
from uuid import UUID

from helpers.tasks import task
from helpers.waiting import wait_until
from oat.messages import Result
from oat.messaging.broker import Broker
from oat.messaging.queues import RESULTS
from oat.services.tracker import Tracker
from oat.settings import Settings


def test_results_applied_on_a_lost_connection_are_not_applied_again(vhost, rabbitmq, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    tasks = [task(uuid=UUID(int=n)) for n in range(5)]
    results = [Result(uuid=each.uuid, duration=1.0, checksum="0" * 64, size=1) for each in tasks]
    path = tmp_path / "oat.db"
    tracker = Tracker(Settings(broker_url=vhost, database_url=f"sqlite:///{path}"))
    tracker.database.prepare()
    tracker.database.record(tasks)
    tracker.database.mark_published(each.uuid for each in tasks)
    broker = Broker(tracker.settings, threading.Event())
    broker.serve(lambda: broker.publish_all(RESULTS, [each.to_json() for each in results]))
    with sqlite3.connect(path, isolation_level=None) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        thread = threading.Thread(target=tracker.broker.serve, args=(tracker._session,))
        thread.start()
        wait_until(lambda: "processing result" in caplog.text, "results received")
        rabbitmq.control("close_all_connections", "a test")
        lock.execute("ROLLBACK")
    lock.close()
    try:
        wait_until(lambda: "lost the broker" in caplog.text, "the loss to be noticed")
        wait_until(lambda: _messages(rabbitmq) == 0, "all acknowledged")
    finally:
        tracker.stop()
        thread.join()
        tracker.database.close()
    assert caplog.text.count("processing result") == len(tasks)
    assert caplog.text.count("elapsed time") == len(tasks)


def _messages(rabbitmq):
    """How many results there are, the unacknowledged ones counted."""
    listed = rabbitmq.control("list_queues", "--quiet", "--no-table-headers", "name", "messages")
    return int(dict(line.split() for line in listed.splitlines())[RESULTS])
