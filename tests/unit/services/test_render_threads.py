"""Which of a worker's threads render, and which store."""

import threading

import pytest

from helpers.waiting import TIMEOUT, wait_until
from oat.services.render_threads import STORING_THREADS, RenderThreads


@pytest.fixture
def begun():
    """Threads whose tasks go on when they are told to: the slots of those that render, the events of each task."""
    rendering, storing = [], []
    go_on = threading.Event()

    def process(_task):
        rendering.append(threading.get_ident())
        go_on.wait(TIMEOUT)
        rendering.remove(threading.get_ident())
        threads.rendered()
        storing.append(threading.get_ident())
        stored.wait(TIMEOUT)

    stored = threading.Event()
    threads = RenderThreads(3, process, lambda: None)
    threads.activate(1)
    threads.start()
    yield threads, rendering, storing, go_on, stored
    go_on.set()
    stored.set()
    threads.stop()


def test_as_many_render_as_are_active(begun):
    threads, rendering, _, go_on, _ = begun
    for _ in range(20):
        threads.submit(object())
    wait_until(lambda: len(rendering) == 1, "one that renders")
    assert threads.waiting() == 19
    threads.activate(5)
    wait_until(lambda: len(rendering) == 3, "three that render")
    assert threads.waiting() == 17
    go_on.set()


def test_others_render_while_some_store(begun):
    threads, _, storing, go_on, _ = begun
    go_on.set()
    threads.activate(3)
    for _ in range(100):
        threads.submit(object())
    wait_until(lambda: len(storing) == 3 + STORING_THREADS, "all threads storing")
    assert threads.waiting() == 100 - 3 - STORING_THREADS
    assert threads.is_busy()


def test_threads_that_cannot_all_be_started_are_ended(monkeypatch):
    """None is left: the process would wait for it."""
    start = threading.Thread.start
    started = []

    def start_five(thread):
        if len(started) == 5:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_five)
    with pytest.raises(RuntimeError, match="start new thread"):
        RenderThreads(3, lambda _: None, lambda: None).start()
    assert len(started) == 5
    assert not any(thread.is_alive() for thread in started)
