"""The address of the broker: RabbitMQ, or a folder for the embedded one."""

from dataclasses import dataclass, field

from oat.addresses.paths import folder_url, path_of
from oat.addresses.url import parse_server_url, reject_unknown, scheme_of, seconds_of
from oat.errors import SettingsError

FORM = "amqp://user:password@host:5672/, amqps://… or filesystem:///a/folder"

AMQP_PORT, AMQPS_PORT = 5672, 5671
"""The default ports of AMQP, without and with TLS. Source: IANA"""

MAX_VIRTUAL_HOST = 255
"""Bytes of its name: a short string. Source: AMQP 0-9-1, 4.2.5.3"""

PARAMETERS = frozenset({"connection_timeout", "heartbeat"})
"""What may follow the question mark of the URL of RabbitMQ, both in seconds."""


@dataclass(frozen=True)
class BrokerAddress:
    """A broker: either `folder` is set, or the parts of RabbitMQ's address."""

    name: str
    """The URL without a password, fit for a log."""
    folder: str | None = None
    """The absolute path of the embedded broker's folder."""
    tls: bool = False
    host: str = "localhost"
    port: int = AMQP_PORT
    user: str = field(default="guest", repr=False)
    password: str = field(default="guest", repr=False)
    virtual_host: str = "/"
    connection_timeout: int | None = None
    """Seconds to wait for the connection, if the URL says so."""
    heartbeat: int | None = None
    """Seconds between heartbeats, if the URL says so."""


def parse_broker(url: str) -> BrokerAddress:
    """Return the address of the broker at `url`.

    Raises:
        SettingsError: it is none; the message quotes no secret.
    """
    scheme = scheme_of(url)
    try:
        if scheme == "filesystem":
            return _parse_folder(url)
        if scheme in ("amqp", "amqps"):
            return _parse_amqp(url, tls=scheme == "amqps")
    except SettingsError as error:
        raise SettingsError(f"broker URL {scheme}://…: {error}") from None
    raise SettingsError(f"broker URL: expected {FORM}")


def _parse_folder(url: str) -> BrokerAddress:
    path, question_mark, _ = url.partition("://")[2].partition("?")
    if question_mark:
        raise SettingsError("a folder has no parameters; a question mark in its name is written %3F")
    if not path.startswith(("/", "~")) or path.strip("/") == "":
        raise SettingsError("expected filesystem:///a/folder, with an absolute path")
    folder = path_of(path)
    return BrokerAddress(folder_url(folder), folder=folder)


def _parse_amqp(url: str, tls: bool) -> BrokerAddress:
    parts = parse_server_url(url, FORM)
    reject_unknown(parts.parameters, PARAMETERS)
    if len(parts.path.encode()) > MAX_VIRTUAL_HOST:
        raise SettingsError(f"the name of a virtual host has up to {MAX_VIRTUAL_HOST} bytes")
    return BrokerAddress(
        name=parts.name,
        tls=tls,
        host=parts.host or "localhost",
        port=parts.port or (AMQPS_PORT if tls else AMQP_PORT),
        user=parts.user or "guest",
        password="guest" if parts.password is None else parts.password,
        virtual_host=parts.path or "/",
        connection_timeout=seconds_of(parts.parameters, "connection_timeout"),
        heartbeat=seconds_of(parts.parameters, "heartbeat"),
    )
