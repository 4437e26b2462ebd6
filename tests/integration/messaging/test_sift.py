"""All tests of tests/unit/messaging/test_sift.py, on RabbitMQ, and what only RabbitMQ does."""

import pytest

import unit.messaging.test_sift as unit
from helpers.waiting import wait_until
from oat.messaging import RESULTS, TASKS, sift
from oat.services.in_flight import MAX_REDELIVERIES
from unit.messaging.test_sift import *  # noqa: F403 (whichever there are)


def test_a_round_does_not_count_as_a_redelivery(in_session):
    counts = []

    def keep(batch):
        counts.extend(each.redeliveries for each in batch)
        return [TASKS] * len(batch)

    def session(broker):
        broker.publish_all(TASKS, unit.BODIES)
        for _ in range(MAX_REDELIVERIES + 1):
            sift(broker, TASKS, keep)
        return unit.bodies(broker, TASKS)

    assert in_session(session) == unit.BODIES
    assert set(counts) == {0}


def test_what_is_killed_in_the_middle_of_a_batch_has_done_nothing(in_session):
    """The first have been published and acknowledged by then, in a transaction that is not committed."""

    def killed(_):
        yield from [RESULTS, None, TASKS, RESULTS]
        raise unit.KilledError

    def session(broker):
        broker.publish_all(TASKS, unit.BODIES)
        try:
            sift(broker, TASKS, killed)
        finally:
            broker._abandon()

    with pytest.raises(unit.KilledError):
        in_session(session)
    wait_until(lambda: in_session(lambda broker: broker.size(TASKS)) == len(unit.BODIES), "all messages")
    assert in_session(lambda broker: broker.size(RESULTS)) == 0
    assert sorted(in_session(lambda broker: unit.bodies(broker, TASKS))) == unit.BODIES
