"""How a worker shares its tasks among its threads."""

import hashlib
import random
import threading
from dataclasses import replace

import pytest

import oat.services.worker
from helpers.tasks import task
from helpers.waiting import TIMEOUT, wait_until
from oat.messaging.broker import FLUSH_INTERVAL, Broker
from oat.messaging.queues import TASKS
from oat.services import Ranges, random_task
from oat.services.in_flight import Work
from oat.services.prefetch import next_poll_interval, useful_threads
from oat.services.worker import Worker
from oat.settings import Settings

SHORT, LONG = 16, 17
"""The width of an image that takes no time, and of one that takes until three of them are in flight."""


@pytest.mark.parametrize(("milliseconds", "threads"), [(0, 1), (0.29, 1), (0.31, 2), (1.6, 6), (300.1, 1001)])
def test_useful_threads_grow_with_the_duration_of_an_image(milliseconds, threads):
    assert useful_threads(milliseconds / 1000) == threads


@pytest.mark.parametrize(
    ("waiting", "seconds", "look"),
    [
        pytest.param(6, 0.0, 0.0, id="nobody knows what they take"),
        pytest.param(0, 1.0, 0.0, id="a thread has nothing to do"),
        pytest.param(6, 0.01, 0.01, id="two of 10 ms for each thread"),
        pytest.param(6, 10.0, FLUSH_INTERVAL, id="enough"),
    ],
)
def test_poll_interval_grows_with_the_work_in_flight(waiting, seconds, look):
    assert next_poll_interval(waiting, seconds, threads=3) == pytest.approx(look)


def test_short_images_use_one_thread_and_long_ones_all(tmp_path, monkeypatch):
    settings = Settings(broker_url=f"filesystem://{tmp_path}/broker", target=str(tmp_path / "images"))
    three = threading.Barrier(3)
    names = []

    def render(task):
        if task.width == LONG:
            three.wait(TIMEOUT)
        names.append(threading.current_thread().name)
        return b"an image"

    def publish(width, count):
        ranges = replace(Ranges(), width=(width, width))
        bodies = [random_task(ranges, random.Random(), (0.0, 0.0)).to_json() for _ in range(count)]
        broker = Broker(settings, threading.Event())
        broker.serve(lambda: broker.publish_all(TASKS, bodies))

    def threads_after_short_ones():
        names.clear()
        publish(SHORT, 50)
        wait_until(lambda: len(names) == 50, "50 images")
        return worker._threads.active

    monkeypatch.setattr(oat.services.worker, "render_png", render)
    worker = Worker(settings, threads=3)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        wait_until(lambda: threads_after_short_ones() == 1, "a round without the others")
        names.clear()
        publish(LONG, 3)
        wait_until(lambda: len(names) == 3, "three at once")
        assert len(set(names)) == 3
    finally:
        worker.stop()
        thread.join()


@pytest.fixture
def worker(tmp_path):
    """A worker whose folder for images is not there."""
    return Worker(
        Settings(broker_url=f"filesystem://{tmp_path}/broker", target=str(tmp_path / "images")), threads=1
    )


def test_an_image_that_cannot_be_stored_now_is_stored_later(worker, tmp_path, monkeypatch):
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            (tmp_path / "images").mkdir()
        return False

    monkeypatch.setattr(worker.stopping, "wait", pause)
    result = worker._process(Work("a task", task()))
    assert result.error is None
    assert pauses == [0.5, 1.0, 2.0]
    assert hashlib.sha256(worker.store.get(result.uuid)).hexdigest() == result.checksum


def test_an_image_that_can_never_be_stored_has_failed_after_two_minutes(worker, monkeypatch):
    pauses = []
    monkeypatch.setattr(worker.stopping, "wait", pauses.append)
    result = worker._process(Work("a task", task()))
    assert "FileNotFoundError" in result.error
    assert sum(pauses) == pytest.approx(120, abs=5)
