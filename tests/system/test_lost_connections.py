"""What is being rendered survives the loss of the connection that brought the task."""

import signal

import pytest

from helpers.slow_tasks import slow
from helpers.waiting import wait_until


def renderings(process, task):
    return process.log.read_text().count(f"processing task {task.uuid}")


@pytest.mark.parametrize("threads", [1, 3])
def test_an_image_that_outlasts_its_connection_is_rendered_once(on_servers, rabbitmq, threads):
    """RabbitMQ closes all connections while the worker stands still, with an image on each of its threads."""
    tasks = [slow(4 / threads) for _ in range(threads)]
    on_servers.send(tasks)
    worker = on_servers.start("oat-worker", "--threads", threads)
    tracker = on_servers.start("oat-tracker")
    wait_until(lambda: all(renderings(worker, task) for task in tasks), "the images in flight", step=0.01)
    worker.send_signal(signal.SIGSTOP)
    assert "processed in" not in worker.log.read_text()
    rabbitmq.control("close_all_connections", "a test")
    worker.send_signal(signal.SIGCONT)
    on_servers.wait_for(threads)
    wait_until(lambda: not on_servers.queued("tasks"), "an empty queue")
    on_servers.stop(worker, tracker)
    assert worker.log.read_text().count("lost the broker") == 1
    assert [renderings(worker, task) for task in tasks] == [1] * threads
    on_servers.audit(threads)
