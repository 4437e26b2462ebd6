"""A service that records when each task has completed each step of its path.

    python benchmarks/steps.py producer|worker|tracker FILE [OPTION ...]

It is the service itself with subclasses that record the time. When it ends, FILE gets a JSON object: for each step
the time at which each UUID had completed it, in seconds since 1970. `load.py` starts it and prints the table.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oat import commands, services
from oat.messages import parse_result, parse_task
from oat.messaging.broker import Broker
from oat.rendering import png as rendering
from oat.services import producer, service, tracker, worker

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

    def publish(self, exchange: str, body: bytes, on_confirm: Callable[[], None]) -> None:
        """Publish as `Broker` does, and record the confirm."""
        uuid = json.loads(body)["uuid"]

        def confirmed() -> None:
            completed("publish", uuid)
            on_confirm()

        super().publish(exchange, body, confirmed)


class Worker(worker.Worker):
    """Records the steps of a worker."""

    def _take(self, delivery: Any) -> None:
        completed("wait", parse_task(delivery.body, self.settings.limits).uuid)
        super()._take(delivery)

    def _process(self, work: Any) -> Any:
        completed("consume", work.task.uuid)
        result = super()._process(work)
        completed("write", work.task.uuid)
        return result


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
        batch = [each.result.uuid for each in self._received]
        super()._apply()
        for uuid in batch:
            completed("commit", uuid)


def main() -> None:
    """Run the service, and write the times when it ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=("producer", "worker", "tracker"))
    parser.add_argument("file", type=Path, help="where the times are written to")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="options of the service")
    arguments = parser.parse_args()
    name = arguments.name
    sys.argv = [f"oat-{name}", *arguments.options]
    if name == "producer":
        service.Broker = PublishingBroker  # type: ignore[misc,attr-defined]  # for this process
    worker.render_png = render_png  # type: ignore[attr-defined]  # as above
    # The commands take the services from their package when they start one.
    services.Producer, services.Worker, services.Tracker = Producer, Worker, Tracker  # type: ignore[misc,attr-defined]  # as above
    mains = {"producer": commands.producer_main, "worker": commands.worker_main, "tracker": commands.tracker_main}
    try:
        mains[name]()
    finally:
        arguments.file.write_text(json.dumps(times))


if __name__ == "__main__":
    main()
