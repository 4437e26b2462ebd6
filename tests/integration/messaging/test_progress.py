"""Progress reports on RabbitMQ: who gets them, and what happens where they are forbidden."""

import threading

import pytest

from helpers.waiting import wait_until
from oat.messaging.broker import Broker
from oat.messaging.queues import TASKS
from oat.settings import Settings


def broker(url):
    return Broker(Settings(broker_url=url), threading.Event(), flush_interval=0)


def answered(worker):
    """Publish a report and a task; when the task is confirmed, the report would have been returned."""
    worker.progress.publish(b"report")
    worker.publish_all(TASKS, [b"task"])
    return worker.progress.watched


def test_a_report_reaches_those_who_watch_at_that_time(vhost):
    worker, watcher = broker(vhost), broker(vhost)

    def received():
        watcher.wait(0.1)
        return watcher.progress.received()

    def session():
        assert not answered(worker)
        watcher.progress.watch()
        assert answered(worker)
        assert wait_until(received, "the report") == [b"report"]
        watcher.progress.unwatch()
        assert not answered(worker)
        watcher.progress.watch()
        assert answered(worker)
        assert wait_until(received, "another report") == [b"report"]

    worker.serve(lambda: watcher.serve(session))


@pytest.mark.parametrize("allowed", ["no exchange", "no publishing"])
def test_tasks_go_on_where_reports_are_forbidden(vhost, rabbitmq, allowed):
    ours = "^(tasks|results|dead-letters)$"
    configure = ours if allowed == "no exchange" else ".*"
    user = allowed.replace(" ", "-")
    rabbitmq.control("add_user", user, "secretsecret")
    rabbitmq.control("set_permissions", user, configure, ours, ".*")
    worker = broker(rabbitmq.url.replace("guest:guest", f"{user}:secretsecret"))
    sessions, sizes = [], []

    def session():
        sessions.append("connected")
        assert len(sessions) == 1, "the connection was lost"
        for _ in range(2):
            assert not answered(worker)
        worker.progress.watch()
        assert worker.progress.received() == []
        sizes.append(worker.size(TASKS))

    worker.serve(session)
    assert sizes == [2]
