"""Who acknowledges when: with resending off, since it would make good what is acknowledged too early."""

import json

import pytest

from helpers.slow_tasks import slow
from helpers.waiting import TIMEOUT, wait_until
from oat.services.in_flight import MAX_REDELIVERIES


@pytest.fixture
def settings():
    """Nothing is published a second time."""
    return {"OAT_LEASE": "86400", "OAT_RESEND_AFTER": "86400"}


def assert_redelivered(system, queue, count=1):
    """Who had the messages of `queue` has been killed, and the broker gives them to the next one."""
    wait_until(lambda: system.queued(queue) == count, f"{count} messages are in {queue} again", timeout=TIMEOUT)


@pytest.mark.parametrize("what", ["result", "dead letter"])
def test_a_task_is_acknowledged_only_when_what_became_of_it_is_confirmed(on_servers, proxies, what):
    """The broker has what the worker sent, but the worker does not know: its confirm is held back."""
    proxy = proxies["broker"]
    # The worker's first report waits for RabbitMQ's reply, and would send what is to be trapped without all that
    # follows it. What is pushed while it does comes after it.
    proxy.flow(trap=b'"prefetched"')
    worker = on_servers.start("oat-worker", "--threads", "2")
    assert proxy.trapped.wait(TIMEOUT)
    if what == "result":
        proxy.flow()
        on_servers.send([slow(0.5)])  # the worker now knows how much to prefetch, and asks RabbitMQ nothing more
        wait_until(lambda: on_servers.queued("results") == 1, "a first result")
        proxy.flow(trap=b'"checksum"')
        on_servers.send([slow(0.5)])
        queue, messages = "results", 2
    else:
        proxy.flow(trap=b"no valid task")
        on_servers.push("tasks", [b"no task"])
        queue, messages = "dead-letters", 1
    assert proxy.trapped.wait(TIMEOUT)
    proxy.listen(b'"prefetched"')
    proxy.flow_up()
    wait_until(lambda: on_servers.queued(queue) == messages, f"messages in {queue}")
    # An acknowledgement that does not wait for the confirm is sent before the worker's next report but one.
    wait_until(lambda: proxy.heard > 1, "two reports")
    on_servers.kill(worker)
    assert_redelivered(on_servers, "tasks")


def test_a_task_is_unacknowledged_while_its_image_cannot_be_stored(on_servers):
    worker = on_servers.start("oat-worker")
    on_servers.produce(1)
    wait_until(lambda: on_servers.queued("results") == 1, "a first result")
    on_servers.images.rename(on_servers.images.with_name("away"))
    on_servers.produce(1)
    wait_until(lambda: "trying again" in worker.log.read_text(), "an attempt")
    on_servers.kill(worker)
    assert on_servers.queued("results") == 1
    assert_redelivered(on_servers, "tasks")


def test_a_result_is_acknowledged_only_when_it_is_committed(on_servers, proxies):
    on_servers.produce(1)
    worker = on_servers.start("oat-worker")
    wait_until(lambda: on_servers.queued("results") == 1, "the result")
    on_servers.stop(worker)
    proxies["database"].flow(trap=b"UPDATE fractals")
    tracker = on_servers.start("oat-tracker")
    assert proxies["database"].trapped.wait(TIMEOUT)
    on_servers.kill(tracker)
    assert on_servers.counts() == {"waiting": 1}
    assert_redelivered(on_servers, "results")


def test_a_worker_that_is_stopped_sends_the_result_of_the_image_in_flight(on_servers):
    image = slow(3)
    on_servers.send([image])
    worker = on_servers.start("oat-worker")
    wait_until(lambda: f"processing task {image.uuid}" in worker.log.read_text(), "the image in flight")
    on_servers.stop(worker)
    assert on_servers.queued("results") == 1
    assert on_servers.queued("tasks") == 0


def test_a_task_that_was_redelivered_too_often_has_failed(on_servers):
    on_servers.produce(1)
    with on_servers.amqp() as connection:
        channel = connection.channel()
        for _ in range(MAX_REDELIVERIES):
            message = wait_until(lambda: channel.basic_get("tasks"), "the task")
            channel.basic_reject(message.delivery_tag, requeue=True)
    on_servers.start("oat-worker")
    wait_until(lambda: on_servers.queued("results") == 1, "the result")
    with on_servers.amqp() as connection:
        result = json.loads(connection.channel().basic_get("results").body)
    assert "workers died of it" in result.get("error", "")
    assert len(on_servers.dead_letters()) == 1
