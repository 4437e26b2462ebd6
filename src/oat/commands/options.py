"""The options of the commands, each declared once, and the values they make: settings, ranges, a request."""

import os
import re
import typing
from typing import Annotated, Any, NamedTuple

import typer
from annotated_types import Ge, Le
from pydantic import ValidationError

from oat.commands.option_groups import OptionGroup, option
from oat.process import configure_logging
from oat.services import FractalRequest, InvalidRequestError, Ranges
from oat.settings import Settings, load_settings

SETTINGS: dict[str, Any] = {
    "broker_url": Annotated[
        str | None,
        typer.Option(
            envvar="OAT_BROKER_URL",
            help="The broker: amqp://user:password@host:5672/, or filesystem:///folder; unset, a folder of yours.",
            show_default=False,
        ),
    ],
    "database_url": Annotated[
        str | None,
        typer.Option(
            envvar="OAT_DATABASE_URL",
            help="The database: mysql+pymysql://…, postgresql+psycopg://… or sqlite:///file; "
            "unset, a file of yours.",
            show_default=False,
        ),
    ],
    "target": Annotated[
        str | None,
        typer.Option(
            envvar="OAT_TARGET",
            help="Where the images go: a folder, or s3://bucket/prefix; unset, a folder of yours.",
            show_default=False,
        ),
    ],
    "log_file": Annotated[
        str | None,
        typer.Option(
            envvar="OAT_LOG_FILE",
            help="Write the log to this file instead of the terminal.",
            show_default=False,
        ),
    ],
    "metrics_port": Annotated[
        int | None,
        typer.Option(
            envvar="OAT_METRICS_PORT",
            min=1,
            max=65535,
            help="Show metrics for Prometheus on this port of 127.0.0.1, or of OAT_METRICS_HOST.",
            show_default="none",
        ),
    ],
}
"""The settings that have an option; the others are environment variables only."""

Seed = Annotated[
    int | None,
    typer.Option(help="Draw the same parameters again; UUIDs are new each time.", show_default=False),
]

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

DEFAULT_THREADS = CORES + 1
"""One renders while another waits for Python's lock, or for its image to be stored."""

Threads = Annotated[
    int,
    typer.Option(min=1, max=256, help="How many images to render at once.", show_default="one more than cores"),
]


class RangeHelp(NamedTuple):
    """What `--help` and the checks need to know of one of the `Ranges`, besides its type and its default."""

    help_min: str
    help_max: str | None = None
    at_least: int | None = None
    at_most: int | None = None


RANGES = {
    "tasks": RangeHelp("Tasks in a set, at least.", "Tasks in a set, at most.", 1, 100_000),
    "pause": RangeHelp("Seconds between two sets, at least.", "Seconds, at most.", 0, 86_400),
    "width": RangeHelp("Pixels across.", at_least=2),
    "height": RangeHelp("Pixels down.", at_least=2),
    "iterations": RangeHelp("Steps an orbit is followed.", at_least=1),
    "xa": RangeHelp("Real part at the left edge."),
    "xb": RangeHelp("Real part at the right edge."),
    "ya": RangeHelp("Imaginary part at the top edge."),
    "yb": RangeHelp("Imaginary part at the bottom edge."),
}
"""Each of the `Ranges` is two options, `--min-…` and `--max-…`."""


def make_settings(**given: Any) -> Settings:
    """Return the settings of the environment with the options that were `given`, and configure the log.

    Raises:
        SettingsError: a setting cannot be used.
        OSError: the log file cannot be written.
    """
    settings = load_settings(**given)
    configure_logging(settings.log_file)
    return settings


def settings_options(*names: str) -> OptionGroup:
    """Return the options of the settings `names`; a command's parameter with this group is the `Settings`."""
    return OptionGroup([option(name, SETTINGS[name]) for name in names], make_settings)


def ranges_options() -> OptionGroup:
    """Return the options that make the producer's `Ranges`; types and defaults are those of the class."""
    types = typing.get_type_hints(Ranges)
    options = []
    for name, (least, most) in vars(Ranges()).items():
        number, _ = typing.get_args(types[name])
        text = RANGES[name]
        low = typer.Option(min=text.at_least, help=text.help_min)
        high = typer.Option(min=text.at_least, max=text.at_most, help=text.help_max)
        options += [
            option(f"min_{name}", Annotated[number, low], least),
            option(f"max_{name}", Annotated[number, high], most),
        ]
    return OptionGroup(options, _make_ranges)


def request_options() -> OptionGroup:
    """Return the options that make a `FractalRequest`: types, limits and help are those of its fields."""
    options = []
    for name, kind in typing.get_type_hints(FractalRequest).items():
        if field := FractalRequest.model_fields.get(name):
            limits: dict[str, Any] = {}
            for each in field.metadata:
                limits |= {"min": each.ge} if isinstance(each, Ge) else {}
                limits |= {"max": each.le} if isinstance(each, Le) else {}
            # Fields that a description names are options here.
            text = re.sub(r"\bc[xy]\b", r"--\g<0>", field.description or "")
            options.append(option(name, Annotated[kind, typer.Option(help=text, **limits)], field.default))
    return OptionGroup(options, _make_request)


def _make_ranges(**given: Any) -> Ranges:
    return Ranges(**{name: (given[f"min_{name}"], given[f"max_{name}"]) for name in RANGES})


def _make_request(**given: Any) -> FractalRequest:
    try:
        return FractalRequest(**given)
    except ValidationError as error:
        raise typer.BadParameter(str(InvalidRequestError.from_validation(error))) from None
