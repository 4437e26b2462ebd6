"""A service that notes when each task has come through each step of its way.

    python benchmarks/steps.py producer|worker|tracker FILE [OPTION ...]

It is the service as it is, with a clock around its functions. When it ends, FILE gets a JSON object: for each step
the time at which each UUID had come through it, in seconds since 1970. `load.py` starts it and draws up the table.
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
"""In the order of a task's way: each ends where the next one begins."""

passed: dict[str, dict[str, float]] = defaultdict(dict)


def note(step: str, uuid: object) -> None:
    """Note that the task `uuid` has come through `step` now."""
    passed[step][str(uuid)] = time.time()


class Producer(producer.Producer):
    """Notes the steps of a producer."""

    def _record(self, count: int) -> None:
        super()._record(count)
        for task in self._unpublished:
            note("record", task.uuid)


class PublishingBroker(Broker):
    """Notes when the broker has confirmed a task."""

    def publish(self, exchange: str, body: bytes, on_confirm: Any) -> None:
        """Publish as `Broker` does."""
        uuid = json.loads(body)["uuid"]

        def confirmed() -> None:
            note("publish", uuid)
            on_confirm()

        super().publish(exchange, body, confirmed)


class Worker(worker.Worker):
    """Notes the steps of a worker."""

    def _take(self, delivery: Any) -> None:
        note("wait", parse_task(delivery.body, self.limits).uuid)
        super()._take(delivery)

    def _answer(self, task: Any) -> Any:
        note("consume", task.uuid)
        answer = super()._answer(task)
        note("write", task.uuid)
        return answer


def render_png(task: Any) -> bytes:
    """Do what `rendering.render_png` does, in two steps."""
    indices = rendering.palette_indices(task)
    note("render", task.uuid)
    image = rendering.encode_png(indices)
    note("encode", task.uuid)
    return image


class Tracker(tracker.Tracker):
    """Notes the steps of a tracker."""

    def _take(self, delivery: Any) -> None:
        note("result", parse_result(delivery.body).uuid)
        super()._take(delivery)

    def _apply(self) -> None:
        batch = [held.result.uuid for held in self._arrived]
        super()._apply()
        for uuid in batch:
            note("commit", uuid)


if __name__ == "__main__":
    service, file, *options = sys.argv[1:]
    sys.argv = [f"oat-{service}", *options]
    producer.Producer, producer.Broker = Producer, PublishingBroker  # type: ignore[misc,attr-defined]  # for this process
    worker.Worker, worker.render_png, tracker.Tracker = Worker, render_png, Tracker  # type: ignore[misc,attr-defined]  # as above
    try:
        {"producer": producer_main, "worker": worker_main, "tracker": tracker_main}[service]()
    finally:
        Path(file).write_text(json.dumps(passed))
