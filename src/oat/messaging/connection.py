"""The connection to the broker, RabbitMQ or the embedded one: its URLs, how it is opened, and how it fails."""

import ssl
from urllib.parse import urlsplit

import amqp
from kombu.connection import Connection

from oat.messaging import embedded, rabbitmq
from oat.settings import PermanentError, SettingsError, mask_password

SCHEMES = ("amqp", "amqps", "filesystem")

AMQPS_PORT = 5671
"""The default port of AMQP over TLS; kombu takes 5672 for both. Source: IANA"""

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


def check_url(url: str) -> None:
    """Raise `SettingsError` if `url` is not the URL of a broker."""
    parts = urlsplit(url)
    try:
        valid = parts.scheme in SCHEMES and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or (parts.scheme == "filesystem" and not parts.path):
        raise SettingsError(
            f"broker URL {mask_password(url)!r}: expected amqp://user:password@host:5672/, amqps://… or "
            "filesystem:///a/folder"
        )


def connect(url: str) -> Connection:
    """Return an open connection to the broker at `url`, which `check_url` has passed.

    Raises:
        OSError: the broker cannot be reached.
        amqp.AMQPError: it refuses the connection.
    """
    if not url.startswith("amqp"):
        connection = embedded.connection(urlsplit(url).path)
        connection.connect()
        return connection
    # Without a host name to verify, any certificate that a trusted authority has signed would do.
    tls = {"server_hostname": urlsplit(url).hostname} if url.startswith("amqps") else False
    connection = Connection(
        url, transport=rabbitmq.Transport, heartbeat=rabbitmq.HEARTBEAT, connect_timeout=CONNECT_TIMEOUT, ssl=tls
    )
    if tls and not connection.port:
        connection.port = AMQPS_PORT
    connection.connect()
    # py-amqp's own read_timeout does not end a read that stops in the middle of a frame.
    connection.connection.sock.settimeout(READ_TIMEOUT)
    return connection
