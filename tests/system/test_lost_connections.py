"""What is finished or being rendered survives the loss of the connection that brought the task."""

import re

import pytest

from helpers.slow_tasks import slow
from helpers.waiting import wait_until


def renderings(process, task):
    return process.log.read_text().count(f"processing task {task.uuid}")


@pytest.mark.parametrize("threads", [1, 3])
def test_an_image_that_outlasts_its_connections_is_rendered_once(on_servers, rabbitmq, threads):
    """RabbitMQ closes all connections, again and again, until all images are done."""
    tasks = [slow(4) for _ in range(threads)]
    on_servers.send(tasks)
    worker = on_servers.start("oat-worker", "--threads", threads)
    tracker = on_servers.start("oat-tracker")
    wait_until(lambda: renderings(worker, tasks[0]), "the image in flight")
    while len(re.findall("saved result", worker.log.read_text())) < threads:
        rabbitmq.control("close_all_connections", "a test")
    on_servers.wait_for(threads)
    wait_until(lambda: not on_servers.queued("tasks"), "an empty queue")
    log = worker.log.read_text()
    assert log.index("lost the broker") < log.rindex("saved result")
    on_servers.stop(worker, tracker)
    assert [renderings(worker, task) for task in tasks] == [1] * threads
    on_servers.audit(threads)
