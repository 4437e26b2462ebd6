"""The connection to the broker, RabbitMQ or the embedded one: how it is opened, and how it fails."""

import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import amqp
from kombu.connection import Connection

from oat.addresses import BrokerAddress
from oat.messaging import embedded, rabbitmq
from oat.messaging.queues import declare, supports_quorum_queues
from oat.settings import PermanentError

CONNECT_TIMEOUT = 10.0
"""Seconds a broker may take to accept a connection."""

READ_TIMEOUT = 30.0
"""Seconds a broker may take to reply, or to send the rest of a frame: as long as for a heartbeat."""

_NO_USER_TIMEOUT = {socket.TCP_USER_TIMEOUT: 0} if hasattr(socket, "TCP_USER_TIMEOUT") else {}  # Linux has it
"""Options of the socket: py-amqp's own limit for what is sent and not received, one second, would end connections
to a broker that reads nothing while its memory is full. One that is gone is noticed by its heartbeats."""


class FolderError(Exception):
    """The embedded broker's folder cannot be made or written."""


FOLDER_ERRORS = frozenset({
    errno.EACCES, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EPERM, errno.EROFS,
})  # fmt: skip
"""Errors of the embedded broker's folder that another attempt would meet as well."""

PERMANENT_ERRORS = (
    FolderError,
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
        FolderError: the embedded broker's folder cannot be used.
        amqp.AMQPError: it refuses the connection.
    """
    if address.folder is not None:
        return _connect_embedded(address.folder)
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
        transport_options={"socket_settings": _NO_USER_TIMEOUT},
    )
    connection.ensure_connection(max_retries=0, reraise_as_library_errors=False)  # the pauses are the caller's
    # py-amqp's own read_timeout does not end a read that stops in the middle of a frame.
    connection.connection.sock.settimeout(READ_TIMEOUT)
    return connection


def open_channel(connection: Connection, address: BrokerAddress, quorum: bool) -> Any:
    """Return a channel of `connection` on which all queues are declared, as quorum queues if they are to be.

    Raises:
        FolderError: the embedded broker's folder cannot be used.
        amqp.AMQPError: the broker refuses.
    """
    with contextlib.nullcontext() if address.folder is None else _folder_errors():
        channel = connection.channel()
        declare(channel, quorum and supports_quorum_queues(connection))
    return channel


@contextlib.contextmanager
def _folder_errors() -> Iterator[None]:
    """Raise `FolderError` for errors of the embedded broker's folder that another attempt would meet as well."""
    try:
        yield
    except OSError as error:
        if error.errno in FOLDER_ERRORS:
            name = f"{Path(os.fsdecode(error.filename)).name}: " if error.filename else ""
            raise FolderError(f"{name}{error.strerror}; OAT_BROKER_URL says where messages are") from error
        raise


def _connect_embedded(folder: str) -> Connection:
    with _folder_errors():
        connection = embedded.connection(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "it cannot be written")
    connection.connect()
    return connection
