"""The queue decides: Prometheus reads its length, Aodh calls the scaling policies of Heat, nobody else does."""

from __future__ import annotations

import os
import platform
import time
from datetime import UTC, datetime
from typing import NamedTuple

from chart import Panel, draw
from renderings import Renderings

from conftest import parameters
from helpers import CHECKOUT, SLOW, TEMPLATES, Application, Stack, until

TASKS = 2000
CHART = CHECKOUT / "docs/images/autoscaling.svg"
WINDOW = 15  # seconds over which images a second are counted


class Sample(NamedTuple):
    """What was so at one moment."""

    seconds: float
    queue: int
    workers: int  # that take tasks
    done: int


def test_the_queue_brings_workers_and_takes_them_back(
    tiers: Stack, application: Application, renderings: Renderings
) -> None:
    tiers.update(TEMPLATES / "tiers.yaml", TEMPLATES / "autoscaling.env", **parameters(), worker_count=1)
    until("the gallery", application.answers)  # the load balancer of the test before has gone
    assert not tiers.servers("gallery")
    until("one worker", lambda: len(renderings.follow()) == 1 and tiers.settle())
    began, samples, marks = time.monotonic(), [], []

    def sample() -> Sample:
        workers, now = renderings.follow(), application.status()
        if now["queued"] is not None:  # nobody knows while the gallery has no connection to RabbitMQ
            samples.append(Sample(time.monotonic() - began, now["queued"], len(workers), now["done"]))
        return samples[-1]

    def mark(name: str) -> None:
        marks.append((time.monotonic() - began, name))

    sample()
    mark(f"{TASKS} tasks")
    uuids = application.create(TASKS, *SLOW[:-1], "6000")  # the queue is not to be empty before the third worker
    until("two workers", lambda: sample().workers >= 2, pause=3)
    mark("2 workers")
    until("three workers", lambda: sample().workers == 3, pause=3)
    mark("3 workers")
    three = renderings.follow()
    until("an empty queue", lambda: sample().queue == 0, pause=3)
    mark("queue empty")
    until("one worker", lambda: sample().workers == 1 and len(tiers.servers("worker")) == 1, pause=3)
    mark("1 worker")
    sample()
    until("the last images", lambda: application.has_done(uuids))
    application.audit()
    # Not one was lost or rendered for nothing: those that went had finished what they began.
    left = {server.id for server in tiers.servers("worker")}
    for worker in three:
        begun, finished = renderings.of(worker)
        assert worker.id in left or set(begun) == set(finished)
    count = renderings.all()
    assert [uuid for uuid in uuids if count[uuid] != 1] == []
    CHART.write_text(drawn(samples, marks))


def drawn(samples: list[Sample], marks: list[tuple[float, str]]) -> str:
    """The chart for the documentation."""
    rates = []
    for sample in samples:
        before = max((old for old in samples if old.seconds <= sample.seconds - WINDOW), default=None)
        if before:
            rates.append((sample.seconds, (sample.done - before.done) / (sample.seconds - before.seconds)))
    load = os.getloadavg()[1]
    when = datetime.now(UTC).date().isoformat()
    return draw(
        f"{TASKS} tasks, and nobody at the keyboard",
        f"tests/openstack/test_50_autoscaling.py, {when},"
        f" {os.cpu_count()} cores ({platform.machine()}) for cloud and servers, load {load:.0f}",
        [
            Panel("tasks in the queue", "#b3541e", [(sample.seconds, sample.queue) for sample in samples]),
            Panel("workers", "#1f6f8b", [(sample.seconds, sample.workers) for sample in samples], is_stepped=True),
            Panel("images a second", "#5a7d2b", rates),
        ],
        marks,
    )
