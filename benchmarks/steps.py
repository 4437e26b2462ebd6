"""A service that records when each task has completed each step of its path.

    python benchmarks/steps.py producer|worker|tracker FILE [OPTION ...]

It is the service itself with subclasses that record the time. When it ends, FILE gets a JSON object: for each step
the time at which each UUID had completed it, in seconds since 1970. `load.py` starts it and prints the table.
"""

import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from oat.commands.cli import producer_main, tracker_main, worker_main
from oat.messages import parse_result, parse_task
from oat.messaging.broker import Broker
from oat.rendering import png as rendering
from oat.services import producer, tracker, worker

STEPS = ("record", "publish", "wait", "consume", "render", "encode", "write", "result", "commit")
"""The steps in their order: each ends where the next one begins."""

times: dict[str, dict[str, float]] = defaultdict(dict)


def completed(step: str, uuid: object) -> None:
    """Record that the task `uuid` has completed `step` now."""
    times[step][str(uuid)] = time.time()


class Producer(producer.Producer):
    """Records the steps of a producer."""

    def _record(self, count: int) -> None:
        super()._record(count)
        for task in self._unpublished:
            completed("record", task.uuid)


class PublishingBroker(Broker):
    """Records when the broker has confirmed a task."""

    def publish(self, name: str, body: Any, on_confirm: Any, reason: str | None = None) -> None:
        """Publish as `Broker` does, and record the confirm."""
        uuid = json.loads(body)["uuid"]

        def confirmed() -> None:
            completed("publish", uuid)
            on_confirm()

        super().publish(name, body, confirmed, reason)


class Worker(worker.Worker):
    """Records the steps of a worker."""

    def _take(self, delivery: Any) -> None:
        completed("wait", parse_task(delivery.body, self.limits).uuid)
        super()._take(delivery)

    def _answer(self, task: Any) -> Any:
        completed("consume", task.uuid)
        answer = super()._answer(task)
        completed("write", task.uuid)
        return answer


def render_png(task: Any) -> bytes:
    """Do the same as `rendering.render_png`, in two steps."""
    indices = rendering.palette_indices(task)
    completed("render", task.uuid)
    image = rendering.encode_png(indices)
    completed("encode", task.uuid)
    return image


class Tracker(tracker.Tracker):
    """Records the steps of a tracker."""

    def _take(self, delivery: Any) -> None:
        completed("result", parse_result(delivery.body).uuid)
        super()._take(delivery)

    def _apply(self) -> None:
        batch = [held.result.uuid for held in self._arrived]
        super()._apply()
        for uuid in batch:
            completed("commit", uuid)


if __name__ == "__main__":
    service, file, *options = sys.argv[1:]
    sys.argv = [f"oat-{service}", *options]
    producer.Producer, producer.Broker = Producer, PublishingBroker  # type: ignore[misc,attr-defined]  # for this process
    worker.Worker, worker.render_png, tracker.Tracker = Worker, render_png, Tracker  # type: ignore[misc,attr-defined]  # as above
    try:
        {"producer": producer_main, "worker": worker_main, "tracker": tracker_main}[service]()
    finally:
        Path(file).write_text(json.dumps(times))
