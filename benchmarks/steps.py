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

from oat import commands, services
from oat.messages import parse_result, parse_task
from oat.messaging.broker import Broker
from oat.rendering import png as rendering
from oat.services import producer, service, tracker, worker

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

    def publish(self, name: str, body: Any, on_confirm: Any, reason: str | None = None) -> None:
        """Publish as `Broker` does."""
        uuid = json.loads(body)["uuid"]

        def confirmed() -> None:
            note("publish", uuid)
            on_confirm()

        super().publish(name, body, confirmed, reason)


class Worker(worker.Worker):
    """Notes the steps of a worker."""

    def _take(self, delivery: Any) -> None:
        note("wait", parse_task(delivery.body, self.settings.limits).uuid)
        super()._take(delivery)

    def _process(self, task: Any) -> Any:
        note("consume", task.uuid)
        result = super()._process(task)
        note("write", task.uuid)
        return result


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
        batch = [each.result.uuid for each in self._received]
        super()._apply()
        for uuid in batch:
            note("commit", uuid)


if __name__ == "__main__":
    name, file, *options = sys.argv[1:]
    sys.argv = [f"oat-{name}", *options]
    if name == "producer":
        service.Broker = PublishingBroker  # type: ignore[misc,attr-defined]  # for this process
    worker.render_png = render_png  # type: ignore[attr-defined]  # as above
    services.Producer, services.Worker, services.Tracker = Producer, Worker, Tracker  # type: ignore[misc,attr-defined]  # as above
    try:
        {"producer": commands.producer_main, "worker": commands.worker_main, "tracker": commands.tracker_main}[
            name
        ]()
    finally:
        Path(file).write_text(json.dumps(passed))
