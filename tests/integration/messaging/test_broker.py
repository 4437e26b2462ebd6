"""The broker on RabbitMQ: confirmed, acknowledged, requeued, redelivered."""

import socket
import threading

import pytest

from oat.addresses import parse_broker
from oat.messaging.broker import Broker
from oat.messaging.connection import connect
from oat.messaging.queues import TASKS
from oat.settings import Settings

BODIES = [b"%d" % n for n in range(10)]


@pytest.fixture
def in_session(vhost):
    def in_session(session):
        broker = Broker(Settings(broker_url=vhost), threading.Event(), flush_interval=0)
        broker.serve(lambda: session(broker))

    in_session(lambda broker: broker.publish_all(TASKS, BODIES))
    return in_session


def take(broker, count):
    """Consume until there are `count` messages; return them without acknowledging any."""
    taken = []
    broker.consume(TASKS, count, taken.append)
    while len(taken) < count:
        broker.wait(10)
    return taken


def test_confirmed_messages_are_in_the_queue(in_session):
    sizes = []
    in_session(lambda broker: sizes.append(broker.size(TASKS)))
    assert sizes == [len(BODIES)]


def test_acknowledged_messages_are_gone_and_others_redelivered(in_session):
    redelivered = []

    def acknowledge_four(broker):
        for delivery in take(broker, 10)[:4]:
            broker.ack(delivery)

    in_session(acknowledge_four)
    in_session(lambda broker: redelivered.extend(take(broker, 6)))
    assert sorted(int(delivery.body) for delivery in redelivered) == [*range(4, 10)]


def test_a_requeued_message_is_delivered_again(in_session):
    def requeue_one(broker):
        requeued = take(broker, 1)[0]
        broker.cancel()
        broker.requeue(requeued)
        assert requeued.body in [delivery.body for delivery in take(broker, 10)]

    in_session(requeue_one)


def test_no_more_are_delivered_than_the_prefetch_count(in_session):
    def take_three(broker):
        taken = []
        broker.consume(TASKS, 3, taken.append)
        while len(taken) < 3:
            broker.wait(10)
        assert broker.size(TASKS) == len(BODIES) - 3
        broker.wait(0)
        assert len(taken) == 3

    in_session(take_three)


def test_a_message_that_the_broker_cannot_store_is_not_confirmed(in_session, rabbitmq, caplog):
    """A full queue accepts some more than its limit says, before the broker has noticed."""
    attempts = []

    def publish_too_many(broker):
        attempts.append(len(attempts))
        if attempts == [0]:
            for body in BODIES * 50:
                broker.publish_all(TASKS, [body])

    rabbitmq.control("set_policy", "full", "^tasks$", '{"max-length": 10, "overflow": "reject-publish"}')
    try:
        in_session(publish_too_many)
    finally:
        rabbitmq.control("clear_policy", "full")
    assert attempts == [0, 1]
    assert "could not store" in caplog.text


def test_what_a_broker_does_not_receive_for_a_while_does_not_end_the_connection(vhost):
    """It reads nothing while its memory is full, as `test_network` shows; heartbeats notice one that is gone."""
    with connect(parse_broker(vhost)) as connection:
        option = connection.connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert option == 0
