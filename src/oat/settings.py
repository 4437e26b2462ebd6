"""Settings: the addresses of the backing services, limits, timeouts and access rules.

Every setting is an environment variable `OAT_…`, validated when it is read; the commands offer the most used ones
as options too. Without any, the program uses the embedded broker and database in the user's data directory, and
needs no server.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class PermanentError(Exception):
    """An error that a retry would not fix; its message is one line that says what would."""


class SettingsError(PermanentError, ValueError):
    """A setting has an unusable value; the message names the setting and what is expected."""


def data_folder() -> Path:
    """Return the user's data directory, where the embedded broker, database and store are."""
    return user_data_path("oat")


class Limits(BaseSettings):
    """The largest task that is accepted, as `OAT_MAX_…`."""

    model_config = SettingsConfigDict(env_prefix="OAT_MAX_", frozen=True)

    side: PositiveInt = 32_768
    """Maximum width and maximum height of an image, in pixels."""
    pixels: PositiveInt = 2**26
    """Maximum width times height of an image, in pixels; a worker needs one byte of memory for each."""
    iterations: PositiveInt = 1_000_000
    """Maximum number of iterations of a pixel."""
    work: PositiveInt = 10**12
    """Maximum number of pixels times iterations. The default takes one core about a quarter of an hour."""


class Settings(BaseSettings):
    """The settings that all services share, as `OAT_…`."""

    model_config = SettingsConfigDict(env_prefix="OAT_", frozen=True)

    broker_url: str = Field(default_factory=lambda: f"filesystem://{data_folder() / 'broker'}")
    """The broker: `amqp://` or `amqps://` for RabbitMQ, `filesystem://` and a directory for the embedded one."""
    database_url: str = Field(default_factory=lambda: f"sqlite:///{data_folder() / 'oat.db'}")
    """The database, as an SQLAlchemy URL of MariaDB, MySQL, PostgreSQL or SQLite."""
    target: str = Field(default_factory=lambda: str(data_folder() / "images"))
    """The store of the images: a directory, or `s3://bucket/prefix`."""
    queue_type: Literal["quorum", "classic"] = "quorum"
    """The type of the queues declared on RabbitMQ; versions before 3.10 always get classic ones."""
    log_file: Path | None = None
    """The file that the log is appended to; unset, it goes to standard error."""
    lease: PositiveFloat = 60.0
    """Seconds during which only the process that recorded a task publishes it; then any publisher may."""
    resend_after: PositiveFloat = 60.0
    """Seconds without a result after which a published task may be lost: it is published again once the queues are
    empty or have delivered results of later tasks. Doubled with each attempt."""
    ack_timeout: PositiveFloat = 1500.0
    """Seconds after which a worker returns an unacknowledged task to RabbitMQ, and goes on rendering it: less than
    RabbitMQ's `consumer_timeout`, which is half an hour by default and would cost it the connection."""
    limits: Limits = Field(default_factory=Limits)
    """The largest task that is accepted."""
    api_token: SecretStr | None = None
    """The token a client of the gallery or the API must present; required on any address but the loopback."""
    public_reading: bool = False
    """Whether requests that only read are allowed without the token."""
    read_rate: str = "12000/minute"
    """Rate limit of an IP address for requests that only read, as `COUNT/PERIOD`."""
    write_rate: str = "600/minute"
    """Rate limit of an IP address for requests that change something, as `COUNT/PERIOD`."""
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The TCP port on which a service serves its metrics for Prometheus; unset, it serves none."""
    metrics_host: str = "127.0.0.1"
    """The address that `metrics_port` is bound to."""

    @field_validator("target")
    @classmethod
    def _make_absolute(cls, target: str) -> str:
        return target if "://" in target else str(Path(target).absolute())


def mask_password(url: str) -> str:
    """Return `url` with its password replaced by asterisks, fit for a log."""
    return re.sub(r"(://[^:/@]*:).*@", r"\1***@", url)
