"""Settings: where the servers are, and what is allowed.

Every setting is an environment variable `OAT_…`; the commands offer the usual ones as options too. Nothing
set means the embedded default: no server, everything in the user's data folder.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class PermanentError(Exception):
    """Something cannot be used as it was asked to; trying again would not help, the message says what would."""


class SettingsError(PermanentError, ValueError):
    """A setting has a value that cannot be used; the message says which, and what would do."""


def data_folder() -> Path:
    """The folder of the embedded default: broker, database and images."""
    return user_data_path("oat")


class Limits(BaseSettings):
    """What a task may ask for, as `OAT_MAX_…`."""

    model_config = SettingsConfigDict(env_prefix="OAT_MAX_", frozen=True)

    side: PositiveInt = 32_768
    """Pixels of the longer side."""
    pixels: PositiveInt = 2**26
    """Pixels of the whole image, 64 MiB of indices."""
    iterations: PositiveInt = 1_000_000
    work: PositiveInt = 10**12
    """Pixels times iterations: some quarter of an hour of one core, below the half hour after which RabbitMQ
    takes an unacknowledged message away from its worker."""


class Settings(BaseSettings):
    """What all services share, as `OAT_…`."""

    model_config = SettingsConfigDict(env_prefix="OAT_", frozen=True)

    broker_url: str = Field(default_factory=lambda: f"filesystem://{data_folder() / 'broker'}")
    database_url: str = Field(default_factory=lambda: f"sqlite:///{data_folder() / 'oat.db'}")
    target: str = Field(default_factory=lambda: str(data_folder() / "images"))
    """Where the images go: a directory, or `s3://bucket/prefix`."""
    queue_type: Literal["quorum", "classic"] = "quorum"
    """What kind of queue to declare on RabbitMQ; classic ones are all that versions before 3.10 get."""
    log_file: Path | None = None
    lease: PositiveFloat = 60.0
    """Seconds after which an unpublished task is taken to belong to someone who died."""
    resend_after: PositiveFloat = 60.0
    """Seconds without an answer, with empty queues or with answers to later ones, until a task is sent again."""
    limits: Limits = Field(default_factory=Limits)
    api_token: SecretStr | None = None
    """What a request to the gallery or the API has to show; needed on any address but the loopback."""
    public_reading: bool = False
    """Whether one may look without the token."""
    read_rate: str = "12000/minute"
    """Requests of one address that only read."""
    write_rate: str = "600/minute"
    """Requests of one address that change something."""
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Where a service shows its metrics; unset, it doesn't."""
    metrics_host: str = "127.0.0.1"

    @field_validator("target")
    @classmethod
    def _absolute(cls, target: str) -> str:
        return target if "://" in target else str(Path(target).absolute())


def mask_password(url: str) -> str:
    """Return `url` with its password replaced by stars, fit for a log."""
    return re.sub(r"(://[^:/@]*:).*@", r"\1***@", url)
