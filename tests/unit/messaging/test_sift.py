"""Sifting a queue: what is kept, moved and dropped, in which order, and what a kill leaves.

On the embedded broker here; tests/integration runs the same on RabbitMQ.
"""

import threading

import pytest

from helpers.waiting import wait_until
from oat.messaging import DEAD_LETTERS, RESULTS, TASKS, Broker, move_to_tail, sift
from oat.settings import Settings

BODIES = [b"%d" % n for n in range(10)]


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def in_session(broker_url):
    def in_session(session):
        broker = Broker(Settings(broker_url=broker_url), threading.Event(), flush_interval=0)
        found = []
        broker.serve(lambda: found.append(session(broker)))
        return found[0]

    return in_session


def bodies(broker, queue):
    """The bodies in a queue, in their order; they are taken out."""
    taken, count = [], broker.size(queue)
    broker.consume(queue, 100, taken.append)
    while len(taken) < count:
        broker.wait(10)
    for each in taken:
        broker.ack(each)
    broker.cancel()
    return [body if isinstance(body := each.body, bytes) else body.encode() for each in taken]


def test_each_message_is_kept_moved_or_dropped_and_the_order_stays(in_session):
    where = {0: TASKS, 1: None, 2: RESULTS}

    def session(broker):
        broker.publish_all(TASKS, BODIES)
        sift(broker, TASKS, lambda batch: [where[int(each.body) % 3] for each in batch])
        return bodies(broker, TASKS), bodies(broker, RESULTS)

    kept, moved = in_session(session)
    assert kept == [b"0", b"3", b"6", b"9"]
    assert moved == [b"2", b"5", b"8"]


def test_a_round_sees_each_message_once(in_session):
    seen = []

    def keep(batch):
        seen.extend(int(each.body) for each in batch)
        return [TASKS] * len(batch)

    def session(broker):
        broker.publish_all(TASKS, BODIES)
        for _ in range(3):
            sift(broker, TASKS, keep)
        return bodies(broker, TASKS)

    assert in_session(session) == BODIES
    assert seen == 3 * list(range(10))


def test_what_is_kept_has_its_headers_and_any_body(in_session):
    odd = [b"\xff\x00 no text", "text with ü".encode(), b""]

    def session(broker):
        for body in odd:
            broker.publish_raw(DEAD_LETTERS, body, {"reason": "r", "queue": "tasks"}, lambda: None)
        broker.wait_for_all_confirms()
        seen = []

        def keep(batch):
            seen.extend(batch)
            return [DEAD_LETTERS] * len(batch)

        for _ in range(2):
            sift(broker, DEAD_LETTERS, keep)
        sift(broker, DEAD_LETTERS, lambda batch: [TASKS] * len(batch))
        return [dict(each.headers) for each in seen], bodies(broker, TASKS)

    headers, moved = in_session(session)
    assert all((each["reason"], each["queue"]) == ("r", "tasks") for each in headers)
    assert len(headers) == 6
    assert moved == odd


def test_a_kill_in_the_middle_loses_nothing(in_session):
    in_session(lambda broker: broker.publish_all(TASKS, BODIES))

    def killed(_):
        raise KilledError

    def session(broker):
        try:
            sift(broker, TASKS, killed)
        finally:
            broker._abandon()  # the connection ends as that of a killed process does

    with pytest.raises(KilledError):
        in_session(session)
    wait_until(lambda: in_session(lambda broker: broker.size(TASKS)) == len(BODIES), "all messages")
    assert sorted(in_session(lambda broker: bodies(broker, TASKS))) == BODIES


def test_the_first_messages_are_moved_behind_the_later_ones(in_session):
    def session(broker):
        broker.publish_all(TASKS, BODIES[:6])
        broker.publish_all(TASKS, BODIES[6:])
        move_to_tail(broker, TASKS, 6)
        return bodies(broker, TASKS)

    assert in_session(session) == BODIES[6:] + BODIES[:6]


def test_more_than_there_are_end_a_round(in_session):
    def session(broker):
        broker.publish_all(TASKS, BODIES)
        move_to_tail(broker, TASKS, 1000)
        return bodies(broker, TASKS)

    assert sorted(in_session(session)) == BODIES


def test_what_others_have_in_flight_is_left_to_them(in_session):
    in_session(lambda broker: broker.publish_all(TASKS, BODIES))

    def session(other):
        taken = []
        other.consume(TASKS, 5, taken.append)
        while len(taken) < 5:
            other.wait(10)
        in_session(lambda broker: sift(broker, TASKS, lambda batch: [None] * len(batch)))
        other.cancel()
        for each in taken:
            other.requeue(each)
        other.wait(0)
        return [body if isinstance(body := each.body, bytes) else body.encode() for each in taken]

    taken = in_session(session)
    assert len(taken) >= 5
    assert sorted(in_session(lambda broker: bodies(broker, TASKS))) == sorted(taken)
