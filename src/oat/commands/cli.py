"""The entry points: `oat` with all commands, `oat-producer`, `oat-worker` and `oat-tracker`, and their errors.

A new command is a function in a module of this package, and an entry in the table in `main`.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from oat.commands import services
from oat.commands.option_groups import expand_groups
from oat.commands.serving import INTERRUPTED
from oat.settings import PermanentError, SettingsError

Command = Callable[..., None]

HELP = {"dead_letters": "List, show, requeue and drop dead letters: messages that could not be processed."}
"""What a group of commands is for."""


def main() -> NoReturn:
    """Run `oat`."""
    from oat.commands import audit, dead_letters, fractals, run, status  # noqa: PLC0415 (the services need not wait until these are loaded)

    _execute(
        run=run.run,
        producer=services.producer,
        worker=services.worker,
        tracker=services.tracker,
        web=services.web,
        create=fractals.create,
        list=fractals.list_,
        show=fractals.show,
        get=fractals.get,
        cancel=fractals.cancel,
        delete=fractals.delete,
        retry=fractals.retry,
        status=status.status,
        audit=audit.audit,
        dead_letters={
            "list": dead_letters.list_,
            "show": dead_letters.show,
            "requeue": dead_letters.requeue,
            "drop": dead_letters.drop,
        },
    )


def producer_main() -> NoReturn:
    """Run `oat-producer`."""
    _execute(producer=services.producer)


def worker_main() -> NoReturn:
    """Run `oat-worker`."""
    _execute(worker=services.worker)


def tracker_main() -> NoReturn:
    """Run `oat-tracker`."""
    _execute(tracker=services.tracker)


def _execute(**commands: Command | dict[str, Command]) -> NoReturn:
    """Execute the command line with these `commands`, and end the process; a known error is one line."""
    try:
        status = _application(commands)(standalone_mode=False)
    except (TyperException, PermanentError, OSError) as error:
        logging.shutdown()  # the log lines before the error are written before it
        usage = isinstance(error, TyperException | SettingsError)
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        if message:
            hint = " (--help explains the options)" if isinstance(error, TyperException) else ""
            print(f"{Path(sys.argv[0]).name}: {message}{hint}", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 2 if usage else 1))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def _application(commands: Mapping[str, Command | dict[str, Command]]) -> typer.Typer:
    """Return the application with these commands; a dictionary is a group of them, which has its own."""
    application = typer.Typer(
        no_args_is_help=len(commands) > 1,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="The OpenStack application tutorial: a small distributed program that renders Julia sets.",
    )
    for name, command in commands.items():
        if isinstance(command, dict):
            group = _application(command)
            group.info.help = HELP[name]
            application.add_typer(group, name=name.replace("_", "-"))
        else:
            application.command(name)(expand_groups(command))
    return application
