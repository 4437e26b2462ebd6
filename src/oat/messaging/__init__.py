"""Messaging: exchanges and queues, publishing with confirms, consuming with acknowledgements.

The only package that knows kombu. `Broker` is the same for RabbitMQ and for the embedded broker, a folder of
files.
"""

from oat.messaging.broker import FLUSH_INTERVAL, Broker
from oat.messaging.connection import BrokerError
from oat.messaging.deliveries import Choose, Delivery
from oat.messaging.queues import DEAD_LETTERS, QUEUES, RESULTS, TASKS
from oat.messaging.sifting import move_to_tail, sift

__all__ = [
    "DEAD_LETTERS",
    "FLUSH_INTERVAL",
    "QUEUES",
    "RESULTS",
    "TASKS",
    "Broker",
    "BrokerError",
    "Choose",
    "Delivery",
    "move_to_tail",
    "sift",
]
