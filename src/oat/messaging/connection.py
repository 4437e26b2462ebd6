"""The connection to the broker, RabbitMQ or the embedded one: how it is opened, and how it fails."""

import ssl

import amqp
from kombu.connection import Connection

from oat.addresses import BrokerAddress
from oat.messaging import embedded, rabbitmq
from oat.settings import PermanentError

CONNECT_TIMEOUT = 10.0
"""Seconds a broker may take to accept a connection."""

READ_TIMEOUT = 30.0
"""Seconds a broker may take to reply, or to send the rest of a frame: as long as for a heartbeat."""

PERMANENT_ERRORS = (
    amqp.AccessRefused,
    amqp.NotAllowed,
    amqp.PreconditionFailed,
    amqp.ResourceLocked,
    ssl.SSLCertVerificationError,
)
"""Errors at the first connection that trying again does not mend; later they may be those of a restart."""


class BrokerError(PermanentError):
    """The broker cannot be used as configured; trying again would not help."""


class ConnectionLostError(Exception):
    """The connection cannot be used any more."""


def connect(address: BrokerAddress) -> Connection:
    """Return an open connection to the broker at `address`.

    Raises:
        OSError: the broker cannot be reached.
        amqp.AMQPError: it refuses the connection.
    """
    if address.folder is not None:
        connection = embedded.connection(address.folder)
        connection.connect()
        return connection
    connection = Connection(
        hostname=address.host,
        port=address.port,
        userid=address.user,
        password=address.password,
        virtual_host=address.virtual_host,
        transport=rabbitmq.Transport,
        heartbeat=address.heartbeat or rabbitmq.HEARTBEAT,
        connect_timeout=address.connection_timeout or CONNECT_TIMEOUT,
        # Without a host name to verify, any certificate that a trusted authority has signed would do.
        ssl={"server_hostname": address.host} if address.tls else False,
    )
    connection.connect()
    # py-amqp's own read_timeout does not end a read that stops in the middle of a frame.
    connection.connection.sock.settimeout(READ_TIMEOUT)
    return connection
