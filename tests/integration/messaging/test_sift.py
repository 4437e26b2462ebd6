"""All tests of tests/unit/messaging/test_sift.py, on RabbitMQ, and what only RabbitMQ does."""

import unit.messaging.test_sift as unit
from oat.messaging import TASKS, sift
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
