"""The connection to the broker, be it RabbitMQ or a folder: which URLs there are, and how one is opened."""

import ssl
from urllib.parse import urlsplit

import amqp
from kombu.connection import Connection

from oat.messaging import embedded, rabbitmq
from oat.settings import SettingsError, mask_password

SCHEMES = ("amqp", "amqps", "filesystem")

HEARTBEAT = 30
"""Seconds after which two peers that hear nothing give each other up."""

READ_TIMEOUT = 30.0
"""Seconds a peer may take to answer."""

PERMANENT_ERRORS = (
    amqp.AccessRefused,
    amqp.NotAllowed,
    amqp.PreconditionFailed,
    amqp.ResourceLocked,
    ssl.SSLCertVerificationError,
)
"""What trying again does not mend."""


def check_url(url: str) -> None:
    """Raise `SettingsError` if `url` is not one of a broker we know."""
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
        OSError: nobody answers.
        amqp.AMQPError: the broker does, and doesn't let us in.
    """
    if not url.startswith("amqp"):
        connection = embedded.connection(urlsplit(url).path)
        connection.connect()
        return connection
    # Without a name to compare with, any certificate that some authority signed would do.
    tls = {"server_hostname": urlsplit(url).hostname} if url.startswith("amqps") else False
    connection = Connection(url, transport=rabbitmq.Transport, heartbeat=HEARTBEAT, connect_timeout=10, ssl=tls)
    if tls and not connection.port:
        connection.port = 5671
    connection.connect()
    # py-amqp's own read_timeout does not end a read that stops in the middle of a frame.
    connection.connection.sock.settimeout(READ_TIMEOUT)
    return connection
