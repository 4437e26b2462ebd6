"""Where single tasks are, as the page of the system shows it: also while a worker is killed."""

import json
import threading
from collections import Counter
from contextlib import contextmanager

import amqp
import pytest

from helpers import http
from helpers.slow_tasks import slow
from helpers.waiting import TIMEOUT, wait_until


class Viewer:
    """Subscribes to the progress as the page does."""

    def __init__(self, url):
        self.url = url
        self.latest = {"workers": [], "tasks": []}
        self.stages = {}
        """The stages and workers that each task went through, in order."""
        self.stopping = threading.Event()

    def listen(self):
        with http.stream("GET", f"{self.url}/v1/progress") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            for line in stream.iter_lines():
                if self.stopping.is_set():
                    return
                if line.startswith("data: {"):
                    self.latest = json.loads(line.removeprefix("data: "))
                    for task in self.latest["tasks"]:
                        way = self.stages.setdefault(task["uuid"], [])
                        if way[-1:] != [(task["stage"], task["worker"])]:
                            way.append((task["stage"], task["worker"]))

    def with_worker(self, pid):
        """The tasks that the worker `pid` has."""
        return {
            task["uuid"]
            for task in self.latest["tasks"]
            if task["stage"] in ("prefetched", "rendering", "stored") and task["worker"].endswith(f":{pid}")
        }

    def counts(self):
        return Counter(task["stage"] for task in self.latest["tasks"])


@contextmanager
def watching(url):
    viewer = Viewer(url)
    thread = threading.Thread(target=viewer.listen)
    thread.start()
    try:
        yield viewer
    finally:
        viewer.stopping.set()
        http.post(f"{url}/v1/fractals", json={"width": 2, "height": 2}).raise_for_status()  # the last event
        thread.join(TIMEOUT)
        assert not thread.is_alive()


def test_the_tasks_of_a_killed_worker_are_queued_again_and_then_with_another_one(on_servers):
    url = on_servers.gallery()
    with watching(url) as viewer:
        first = on_servers.start("oat-worker", "--threads", 1)
        on_servers.send([slow(30) for _ in range(4)])
        stages = {"rendering": 1, "prefetched": 1, "queued": 2}
        wait_until(lambda: viewer.counts() == stages, "one that is rendered, and the next one")
        had = viewer.with_worker(first.pid)
        on_servers.kill(first)
        wait_until(lambda: viewer.counts() == {"queued": 4}, "all of them in the queue")
        second = on_servers.start("oat-worker", "--threads", 1)
        wait_until(lambda: viewer.with_worker(second.pid) == had, "the same two with the other worker")
        for uuid in had:
            workers = [worker and int(worker.rpartition(":")[2]) for _, worker in viewer.stages[uuid]]
            way = [worker for worker, before in zip(workers, [0, *workers], strict=False) if worker != before]
            assert way[-3:] == [first.pid, None, second.pid]
        on_servers.kill(second)


@pytest.mark.parametrize("system", ["embedded", "rabbitmq+mariadb"], indirect=True)
def test_a_task_is_seen_at_each_of_its_stages(system):
    url = system.gallery()
    with watching(url) as viewer:
        tasks = [slow(0.01)]
        system.record(tasks)
        wait_until(lambda: viewer.counts() == {"unpublished": 1}, "an unpublished task")
        system.publish(tasks)
        wait_until(lambda: viewer.counts() == {"queued": 1}, "a queued one")
        worker = system.start("oat-worker")
        wait_until(lambda: viewer.counts() == {"result queued": 1}, "a queued result")
        system.kill(worker)  # who had it does not matter any more
        wait_until(lambda: not viewer.latest["workers"], "no worker reports")
        assert viewer.counts() == {"result queued": 1}
        system.start("oat-tracker")
        wait_until(lambda: viewer.counts() == {"done": 1}, "the finished task")
        assert [task["uuid"] for task in viewer.latest["tasks"]] == [str(tasks[0].uuid)]


@pytest.mark.parametrize("system", ["embedded", "rabbitmq+sqlite"], indirect=True)
def test_workers_report_only_while_somebody_watches(system):
    url = system.gallery()
    worker = system.start("oat-worker")

    def told():
        """Whether a report is routed to anybody."""
        if system.broker_url is None:
            return any(system.broker_folder.glob("progress/watcher-*"))
        returned = []
        with system.amqp() as connection:
            channel = connection.channel()
            channel.exchange_declare("progress", "fanout", durable=True, auto_delete=False)
            channel.confirm_select()
            channel.events["basic_return"].add(lambda *_: returned.append(True))
            channel.basic_publish_confirm(amqp.Message(b"{}"), "progress", mandatory=True)
        return not returned

    assert not told()
    with watching(url) as viewer:
        wait_until(lambda: any(name.endswith(f":{worker.pid}") for name in viewer.latest["workers"]), "its report")
        assert told()
    wait_until(lambda: not told(), "nobody watches")
