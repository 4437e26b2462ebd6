"""Progress reports on the embedded broker: who gets them, and whether anybody does."""

import json
import os
import threading
import time

from oat.messaging.broker import Broker
from oat.messaging.progress import WATCH_TIMEOUT, EmbeddedReports
from oat.settings import Settings


def two_connections(folder, use):
    """Call `use` with the reports of two connections: a worker's and a watcher's."""
    worker, watcher = (Broker(Settings(broker_url=f"filesystem://{folder}"), threading.Event()) for _ in "ab")
    worker.serve(lambda: watcher.serve(lambda: use(worker.progress, watcher.progress)))


def test_a_report_reaches_those_who_watch_at_that_time(tmp_path):
    def use(worker, watcher):
        worker.publish(b"early")
        assert not worker.watched
        watcher.watch()
        assert watcher.received() == []
        worker.publish(b"first")
        assert worker.watched
        assert watcher.received() == [b"first"]
        assert watcher.received() == []
        worker.publish(b"second")
        watcher.unwatch()
        assert watcher.received() == []
        worker.publish(b"late")
        assert not worker.watched

    two_connections(tmp_path, use)


def test_the_last_report_of_a_worker_that_was_killed_says_so(tmp_path):
    body = b'{"worker": "a", "pid": 5}'

    def use(worker, watcher):
        watcher.watch()
        worker.publish(body)
        assert watcher.received() == [body]
        worker.publish(body + b" ")  # it is locked anew
        assert watcher.received() == [body + b" "]
        worker._lock.close()  # as the system does when the process ends
        [last] = watcher.received()
        assert json.loads(last) == json.loads(body) | {"killed": True}
        assert watcher.received() == []

    two_connections(tmp_path, use)


def test_a_worker_that_ends_leaves_no_report(tmp_path):
    folder = str(tmp_path)
    worker, watcher = EmbeddedReports(folder), EmbeddedReports(folder)
    watcher.watch()
    worker.publish(b"report")
    assert watcher.received() == [b"report"]
    del worker
    assert watcher.received() == []
    assert [file.name[:7] for file in (tmp_path / "progress").iterdir()] == ["watcher"]


def test_files_of_killed_processes_count_for_nothing_and_are_removed(tmp_path):
    def use(worker, watcher):
        watcher.watch()
        worker.publish(b"report")
        old = time.time() - WATCH_TIMEOUT - 1
        for file in (tmp_path / "progress").iterdir():
            os.utime(file, (old, old))
        worker.publish(b"another")
        assert not worker.watched
        assert watcher.received() == []
        assert [file.name[:7] for file in (tmp_path / "progress").iterdir()] == ["watcher"]

    two_connections(tmp_path, use)


def test_the_clock_of_a_host_does_not_matter(tmp_path, monkeypatch):
    """A drive whose server has another clock dates the files."""
    monkeypatch.setattr(time, "time", lambda: 1e9)

    def use(worker, watcher):
        watcher.watch()
        assert watcher.received() == []
        worker.publish(b"report")
        assert worker.watched
        assert watcher.received() == [b"report"]

    two_connections(tmp_path, use)


def test_reports_are_no_messages(tmp_path):
    def use(worker, watcher):
        watcher.watch()
        worker.publish(b"report")

    two_connections(tmp_path, use)
    broker = Broker(Settings(broker_url=f"filesystem://{tmp_path}"), threading.Event())
    broker.serve(lambda: None)  # it lists all folders for the last position
    assert broker.address.folder == str(tmp_path)
