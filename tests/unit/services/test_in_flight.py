"""Which deliveries of a task are rendered, attached, acknowledged or requeued, over several connections."""

import pytest

from helpers.tasks import task
from oat.messages import Result
from oat.messaging import Delivery
from oat.services.in_flight import MAX_REDELIVERIES, REPUBLISH_AFTER, InFlight

TASK = task()
RESULT = Result(uuid=TASK.uuid, duration=1.0, checksum="0" * 64, size=1)


def delivery(tag=1, redeliveries=0, received_at=0.0, body="a task"):
    return Delivery(body, tag, redeliveries, received_at=received_at)


def test_a_task_delivered_twice_is_begun_once_and_both_are_acknowledged():
    in_flight = InFlight(10)
    first, second = delivery(1), delivery(2)
    work = in_flight.add(first, TASK)
    assert in_flight.add(second, TASK) is None
    in_flight.finish(work, RESULT)
    assert not in_flight.is_rendering()
    assert in_flight.unconfirmed() == [(work, RESULT)]
    assert in_flight.confirm(work) == [first, second]
    assert not in_flight


def test_other_parameters_are_another_task():
    in_flight = InFlight(10)
    in_flight.add(delivery(1, body="a task"), TASK)
    assert in_flight.add(delivery(2, body="another task"), TASK) is not None


def test_a_redelivery_is_attached_to_the_image_in_progress():
    in_flight = InFlight(10)
    work = in_flight.add(delivery(1), TASK)
    for tag in range(2, 5):
        in_flight.connection_lost()
        assert in_flight
        again = delivery(tag)
        assert in_flight.add(again, TASK) is None
    in_flight.finish(work, RESULT)
    assert in_flight.confirm(work) == [again]


def test_a_result_that_is_not_confirmed_is_published_on_the_next_connection():
    in_flight = InFlight(10)
    work = in_flight.add(delivery(1), TASK)
    in_flight.finish(work, RESULT)
    in_flight.connection_lost()
    assert in_flight.unconfirmed() == [(work, RESULT)]
    assert in_flight.confirm(work) == []
    assert in_flight.unconfirmed() == []


def test_finished_images_are_remembered_the_last_ones_only():
    in_flight = InFlight(2)
    for body in "abc":
        work = in_flight.add(delivery(body=body), TASK)
        in_flight.finish(work, RESULT)
        in_flight.confirm(work)
    known = [in_flight.finished(in_flight.add(delivery(body=body), TASK)) for body in "abc"]
    assert known == [None, RESULT, RESULT]


def test_a_failure_is_not_remembered():
    """A person who has it sent again wants it tried again."""
    in_flight = InFlight(10)
    work = in_flight.add(delivery(1), TASK)
    in_flight.finish(work, Result(uuid=TASK.uuid, error="the disk is full"))
    in_flight.confirm(work)
    assert in_flight.finished(in_flight.add(delivery(2), TASK)) is None


def test_a_dropped_task_is_begun_when_it_is_delivered_again():
    in_flight = InFlight(10)
    first = delivery(1)
    work = in_flight.add(first, TASK)
    assert in_flight.drop([work]) == [first]
    assert not in_flight
    assert in_flight.add(delivery(2), TASK) is not None


def test_old_deliveries_are_overdue_and_their_works_go_on():
    in_flight = InFlight(10)
    works = [in_flight.add(delivery(tag, received_at=tag, body=str(tag)), TASK) for tag in (1, 2, 3)]
    assert in_flight.oldest() == 1
    assert [each.tag for each in in_flight.overdue(received_before=2.5)] == [1, 2]
    assert in_flight.oldest() == 3
    assert in_flight.overdue(received_before=2.5) == []
    assert in_flight.add(delivery(4, body="1"), TASK) is None
    in_flight.finish(works[0], RESULT)
    assert [each.tag for each in in_flight.confirm(works[0])] == [4]
    assert in_flight.confirm(works[1]) == []
    assert [each.tag for each in in_flight.overdue(received_before=9)] == [3]
    assert in_flight.oldest() is None


@pytest.mark.parametrize(
    ("redeliveries", "poison"), [(0, False), (MAX_REDELIVERIES - 1, False), (MAX_REDELIVERIES, True)]
)
def test_a_task_that_came_back_often_to_others_is_poison(redeliveries, poison):
    in_flight = InFlight(10)
    assert in_flight.is_poison(delivery(redeliveries=redeliveries)) == poison
    assert not in_flight.should_republish(delivery(redeliveries=redeliveries))


@pytest.mark.parametrize("returned", [InFlight.connection_lost, lambda in_flight: in_flight.overdue(9)])
def test_a_task_whose_return_this_worker_has_survived_is_never_poison(returned):
    in_flight = InFlight(10)
    in_flight.add(delivery(1), TASK)
    returned(in_flight)
    assert not in_flight.is_poison(delivery(redeliveries=MAX_REDELIVERIES))
    assert in_flight.should_republish(delivery(redeliveries=REPUBLISH_AFTER))
    assert not in_flight.should_republish(delivery(redeliveries=REPUBLISH_AFTER - 1))
