"""The options that the commands share, and the settings they make."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from oat.process import configure_logging
from oat.settings import Settings, mask_password

BrokerUrl = Annotated[
    str | None,
    typer.Option(
        envvar="OAT_BROKER_URL",
        help="The broker: amqp://user:password@host:5672/, or filesystem:///folder; unset, a folder of yours.",
        show_default=False,
    ),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        envvar="OAT_DATABASE_URL",
        help="The database: mysql+pymysql://…, postgresql+psycopg://… or sqlite:///file; unset, a file of yours.",
        show_default=False,
    ),
]
LogFile = Annotated[
    Path | None,
    typer.Option(
        envvar="OAT_LOG_FILE",
        dir_okay=False,
        help="Write the log to this file instead of the terminal.",
        show_default=False,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        envvar="OAT_TARGET",
        help="Where the images go: a folder, or s3://bucket/prefix; unset, a folder of yours.",
        show_default=False,
    ),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        envvar="OAT_METRICS_PORT",
        min=1,
        max=65535,
        help="Show metrics for Prometheus on this port of 127.0.0.1, or of OAT_METRICS_HOST.",
        show_default="none",
    ),
]


def make_settings(**given: Any) -> Settings:
    """Return the settings of the environment with the options that were `given`, and set up the log."""
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        fault = error.errors()[0]
        name = "_".join(("OAT", *map(str, fault["loc"]))).upper()
        raise typer.BadParameter(f"{name}: {fault['msg']}, not {fault['input']!r}") from None
    configure_logging(settings.log_file)
    return settings


def backing_services(settings: Settings) -> list[tuple[str, str]]:
    """Name what `settings` use, and where it is, without passwords."""
    return [
        ("broker", mask_password(settings.broker_url)),
        ("database", mask_password(settings.database_url)),
        ("images", mask_password(settings.target)),
    ]
