"""Messaging: exchanges and queues, publishing with confirms, consuming with acknowledgements.

The only package that knows kombu. RabbitMQ and the embedded broker, a folder of files, look the same from outside.
"""

from oat.messaging.broker import FLUSH_INTERVAL, Broker, BrokerError, Delivery
from oat.messaging.queues import DEAD_LETTERS, QUEUES, RESULTS, TASKS

__all__ = ["DEAD_LETTERS", "FLUSH_INTERVAL", "QUEUES", "RESULTS", "TASKS", "Broker", "BrokerError", "Delivery"]
