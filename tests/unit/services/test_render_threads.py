"""Which of a worker's threads render, and which store."""

import threading
import time
from pathlib import Path

import pytest

from helpers.waiting import TIMEOUT, wait_until
from oat.services.render_threads import SHORTEST_OF, STORING_THREADS, WORTH_A_SWITCH, RenderThreads


class Process:
    """What threads do with tasks, which go on when they are told to."""

    def __init__(self):
        self.rendering, self.storing = set(), set()
        self.rendered, self.stored = threading.Event(), threading.Event()
        self.finished = threading.Event()
        self.target = "/dev/null"
        self.submitted = 0
        self.threads = RenderThreads(3, self.process, lambda: None)

    def start(self, active=3):
        self.threads.activate(active)
        self.threads.start()

    def process(self, task):
        self.rendering.add(task)
        assert self.rendered.wait(TIMEOUT)
        self.rendering.remove(task)
        try:
            with self.threads.storing():
                self.storing.add(task)
                assert self.stored.wait(TIMEOUT)
                Path(self.target).write_bytes(b"image")
        except OSError:
            assert self.finished.wait(TIMEOUT)
        self.storing.remove(task)

    def submit(self, count):
        self.submitted += count
        for _ in range(count):
            self.threads.submit(object())

    def storing_took(self, seconds):
        """Let the threads find out what storing takes, one after the other."""
        self.start()
        self.rendered.set()
        for done in range(SHORTEST_OF):
            self.stored.clear()
            self.submit(1)
            wait_until(lambda: self.storing, "a thread that stores")
            time.sleep(seconds)
            self.stored.set()
            wait_until(lambda done=done: len(self.threads.finished) == done + 1, "its end")
        self.stored.clear()


@pytest.fixture
def process():
    """Three threads that may render, and those that may store."""
    process = Process()
    yield process
    for event in (process.rendered, process.stored, process.finished):
        event.set()
    process.threads.stop()


def test_as_many_render_as_are_active(process):
    threads = process.threads
    process.start(active=1)
    process.submit(20)
    wait_until(lambda: len(process.rendering) == 1, "one that renders")
    assert threads.waiting() == 19
    threads.activate(5)
    wait_until(lambda: len(process.rendering) == 3, "three that render")
    assert threads.waiting() == 17


def test_others_render_while_some_store(process):
    process.storing_took(0.01)
    process.submit(100)
    wait_until(lambda: len(process.storing) == 3 + STORING_THREADS, "all threads storing")
    assert process.threads.waiting() == 100 - 3 - STORING_THREADS
    assert process.threads.is_busy()


def test_no_other_renders_while_some_store_where_that_is_quick(process):
    process.start()
    process.rendered.set()
    process.stored.set()
    process.submit(10 * SHORTEST_OF)
    wait_until(lambda: len(process.threads.finished) == 10 * SHORTEST_OF, "quick ones")
    process.stored.clear()
    process.submit(100)
    wait_until(lambda: len(process.storing) == 3, "three that store")
    assert process.threads.waiting() == 97


def test_others_render_where_storing_is_to_be_tried_again(process):
    """Storing was quick, so nobody else renders; but then it fails."""
    process.start()
    process.target = "/nowhere/image"
    process.rendered.set()
    process.stored.set()
    process.submit(100)
    wait_until(lambda: len(process.storing) == 3 + STORING_THREADS, "all threads waiting for the next attempt")
    assert process.threads.waiting() == 100 - 3 - STORING_THREADS


def test_a_single_delay_does_not_make_storing_slow(process):
    process.storing_took(0.01)
    process.stored.set()

    def stored_quickly():
        process.submit(1)  # which other processes may delay, too
        return min(process.threads._waits) <= WORTH_A_SWITCH

    wait_until(stored_quickly, "a quick one")
    wait_until(lambda: len(process.threads.finished) == process.submitted, "the end of all")
    process.stored.clear()
    process.submit(100)
    wait_until(lambda: len(process.storing) == 3, "three that store")
    assert process.threads.waiting() == 97


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
