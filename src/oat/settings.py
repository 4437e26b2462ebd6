"""Settings: the addresses of the backing services, limits, timeouts and access rules.

Every setting is an environment variable `OAT_…`, validated when it is read; the commands offer the most used ones
as options too. Without any, the program uses the embedded broker and database in the user's data directory, and
needs no server.
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic_settings
from pydantic import Field, PositiveInt, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from oat.addresses import (
    SQLITE,
    BucketAddress,
    data_folder,
    expand,
    folder_url,
    parse_broker,
    parse_database,
    parse_target,
    sqlite_url,
)
from oat.errors import PermanentError, SettingsError

__all__ = ["Limits", "PermanentError", "Settings", "SettingsError", "data_folder", "load_settings"]

YEAR = 31_536_000.0
"""Seconds: more than any of the timeouts is meant to be, and little enough for every date."""

Seconds = Annotated[float, Field(gt=0, le=YEAR, allow_inf_nan=False)]

MAX_INTEGER = 2**31 - 1
"""The largest integer that MySQL and PostgreSQL store as INTEGER, and that Pillow counts bytes with."""

MAX_SIDE = 2**24
"""Pixels: for an image of this width or height Pillow takes 64 or 128 MiB beside the pixels; more for larger ones,
up to 2**29, where it gives up."""


class Limits(BaseSettings):
    """The largest task that is accepted, as `OAT_MAX_…`."""

    model_config = SettingsConfigDict(
        env_prefix="OAT_MAX_", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    side: Annotated[PositiveInt, Field(le=MAX_SIDE)] = 32_768
    """Maximum width and maximum height of an image, in pixels."""
    pixels: Annotated[PositiveInt, Field(le=MAX_INTEGER)] = 2**26
    """Maximum width times height of an image, in pixels; a worker needs one byte of memory for each."""
    iterations: Annotated[PositiveInt, Field(le=MAX_INTEGER)] = 1_000_000
    """Maximum number of iterations of a pixel."""
    work: PositiveInt = 10**12
    """Maximum number of pixels times iterations. The default takes one core about a quarter of an hour."""


class Settings(BaseSettings):
    """The settings that all services share, as `OAT_…`."""

    model_config = SettingsConfigDict(
        env_prefix="OAT_", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    broker_url: str = Field(default_factory=lambda: folder_url(data_folder() / "broker"), repr=False)
    """The broker: `amqp://` or `amqps://` for RabbitMQ, `filesystem://` and a directory for the embedded one."""
    database_url: str = Field(default_factory=lambda: sqlite_url(data_folder() / "oat.db"), repr=False)
    """The database, as an SQLAlchemy URL of MariaDB, MySQL, PostgreSQL or SQLite."""
    target: str = Field(default_factory=lambda: str(data_folder() / "images"))
    """The store of the images: a directory, or `s3://bucket/prefix`."""
    queue_type: Literal["quorum", "classic"] = "quorum"
    """The type of the queues declared on RabbitMQ; versions before 3.10 always get classic ones."""
    log_file: Path | None = None
    """The file that the log is appended to; unset, it goes to standard error."""
    lease: Seconds = 60.0
    """Seconds during which only the process that recorded a task publishes it; then any publisher may."""
    resend_after: Seconds = 60.0
    """Seconds without a result after which a published task may be lost: it is published again once the queues are
    empty or have delivered results of later tasks. Doubled with each attempt."""
    ack_timeout: Seconds = 1500.0
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
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Names, separated by commas, under which the gallery is asked for, besides those of the loopback; with a
    token every name is allowed."""
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Addresses or networks, separated by commas, of reverse proxies whose X-Forwarded-For, -Proto and -Host are
    trusted."""
    root_path: str = ""
    """The path prefix under which a reverse proxy has the gallery, like `/oat`."""
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The TCP port on which a service serves its metrics for Prometheus; unset, it serves none."""
    metrics_host: str = "127.0.0.1"
    """The address that `metrics_port` is bound to."""

    @field_validator("broker_url", "database_url", "target", "log_file", mode="plain")
    @classmethod
    def _check_address(cls, value: Any, info: ValidationInfo) -> Any:
        """Check an address; paths become absolute, in URLs as well. pydantic's own types reject some paths."""
        match info.field_name:
            case "broker_url":
                address = parse_broker(value)
                return address.name if address.folder else value
            case "database_url":
                file = parse_database(value)
                return file.name if file.driver == SQLITE else value
            case "target":
                target = parse_target(value)
                return target.name if isinstance(target, BucketAddress) else target
            case _:
                return None if value is None else Path(expand(str(value)))

    @field_validator("api_token", mode="before")
    @classmethod
    def _check_token(cls, token: Any) -> Any:
        if isinstance(token, str) and not re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", token):
            raise SettingsError("a token is made of printable ASCII characters, without a space at its ends")
        return token

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        names = [name.lower() for name in _split(value)] if isinstance(value, str) else value
        if isinstance(names, list) and not all(map(_HOST.fullmatch, names)):
            raise SettingsError("expected names like gallery.example.org, without port, separated by commas")
        return names

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_networks(cls, value: object) -> object:
        try:
            return [ip_network(each, strict=False) for each in _split(value)] if isinstance(value, str) else value
        except ValueError as error:
            raise SettingsError(f"expected addresses like 127.0.0.1 or 10.0.0.0/8: {error}") from None

    @field_validator("root_path")
    @classmethod
    def _normalize_root_path(cls, value: str) -> str:
        segments = value.strip("/")
        if segments and not _ROOT_PATH.fullmatch(segments):
            raise SettingsError("expected a path like /oat, of letters, digits, '-', '_' and '.'")
        return f"/{segments}" if segments else ""


_HOST = re.compile(r"[\w-]+(\.[\w-]+)*|\[[0-9a-f:.]+\]")
"""A name or an address without port, as it stands in the header Host."""

_ROOT_PATH = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*", re.ASCII)


def _split(value: str) -> list[str]:
    """Return the parts of a setting that has several, separated by commas."""
    return [part.strip() for part in value.split(",") if part.strip()]


def load_settings(**given: Any) -> Settings:
    """Return the settings of the environment, with those that are `given`, None and "" left out.

    Raises:
        SettingsError: a value cannot be used; the message names the variable, and quotes no secret.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value not in (None, "")})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        model = next(model for model in (Settings, Limits) if model.__name__ == error.title)
        name = f"{model.model_config['env_prefix']}{'_'.join(map(str, fault['loc']))}".upper()
        cause = fault.get("ctx", {}).get("error")
        if isinstance(cause, SettingsError):
            raise SettingsError(f"{name}: {cause}") from None
        raise SettingsError(f"{name}: {fault['msg']}, not {fault['input']!r}") from None
    except pydantic_settings.SettingsError:
        raise SettingsError(
            "set the limits as OAT_MAX_SIDE, OAT_MAX_PIXELS, OAT_MAX_ITERATIONS and OAT_MAX_WORK"
        ) from None
