"""What is sent to RabbitMQ for acknowledged deliveries, and which confirm belongs to which message."""

import pytest
from amqp import spec

from oat.messaging.confirms import Confirms
from oat.messaging.deliveries import Acknowledgements


class Channel:
    """Notes the methods that are sent, and knows what they acknowledge, as RabbitMQ does."""

    def __init__(self):
        self.methods = 0
        self.unacknowledged = set()

    def basic_ack(self, tag, multiple=False):
        self.methods += 1
        tags = {each for each in self.unacknowledged if each <= tag} if multiple else {tag}
        assert tags <= self.unacknowledged
        self.unacknowledged -= tags

    def send_method(self, method, _format, arguments):
        tag, multiple, requeue = arguments
        assert method == spec.Basic.Nack
        assert requeue
        self.basic_ack(tag, multiple)


@pytest.mark.parametrize(
    ("acknowledged", "methods"),
    [([], 0), ([1], 1), ([3, 1, 2], 1), ([1, 2, 3, 4, 5], 1), ([2, 3], 2), ([1, 2, 4, 5], 3)],
)
def test_the_oldest_deliveries_are_acknowledged_by_one_method(acknowledged, methods):
    channel = Channel()
    acknowledgements = Acknowledgements(channel)
    for tag in range(1, 6):
        channel.unacknowledged.add(tag)
        acknowledgements.delivered(tag)
    for tag in acknowledged:
        acknowledgements.ack(tag)
    acknowledgements.send()
    assert channel.unacknowledged == {1, 2, 3, 4, 5} - set(acknowledged)
    assert channel.methods == methods
    acknowledgements.send()
    assert channel.methods == methods


def test_a_requeued_delivery_does_not_keep_later_ones_from_one_method():
    channel = Channel()
    acknowledgements = Acknowledgements(channel)
    for tag in range(1, 6):
        channel.unacknowledged.add(tag)
        acknowledgements.delivered(tag)
    acknowledgements.requeue(1)
    for tag in range(2, 6):
        acknowledgements.ack(tag)
    acknowledgements.send()
    assert channel.unacknowledged == set()
    assert channel.methods == 2


def test_each_message_is_confirmed_once():
    confirms, confirmed = Confirms(), []
    for number in range(1, 6):
        confirms.published(lambda number=number: confirmed.append(number))
    for tag, multiple in ((2, False), (4, True)):
        for on_confirm in confirms.confirmed(tag, multiple):
            on_confirm()
    assert confirmed == [2, 1, 3, 4]
    assert confirms
    for on_confirm in confirms.all_confirmed():
        on_confirm()
    assert confirmed == [2, 1, 3, 4, 5]
    assert not confirms
