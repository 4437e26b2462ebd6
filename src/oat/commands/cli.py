"""The command line: `oat` with all commands, each service as a program of its own, and how they end.

A new command is a function in a module of this package, and an entry in the table in `main`.
"""

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, NoReturn

import typer

from oat.addresses import unset_empty
from oat.commands import errors, services
from oat.commands.option_groups import expand_groups, option
from oat.process import bound_width, check_descriptors, drop_unwritable, flush_output, prepare_streams

DEBUG = option(
    "debug",
    Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", show_default=False)],
    False,
)

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


def service_main(name: str) -> NoReturn:
    """Run one of the services as a program of its own."""
    _execute(**{name: getattr(services, name)})


def _execute(**commands: Command | dict[str, Command]) -> NoReturn:
    """Execute the command line with these `commands`, and end the process; an error is one line."""
    prepare_streams()
    bound_width()
    for prefix in ("OAT_", "AWS_", "XDG_", "HOME"):
        unset_empty(prefix)
    arguments = list(_without_empty(sys.argv[1:]))
    try:
        check_descriptors()
        returned = _application(commands)(arguments, standalone_mode=False)
        status = returned if isinstance(returned, int) else 0
        flush_output()
    except SystemExit:
        raise
    except BaseException as error:  # a panic of a library in Rust is no Exception
        status = errors.report(_output_error(error) or error, debug="--debug" in arguments)
    drop_unwritable()
    sys.exit(status)


def _output_error(error: BaseException) -> OSError | None:
    """Return the error that says it was standard output that could not be written, if it was."""
    if isinstance(error, OSError) and error.filename is None:
        try:
            flush_output()
        except OSError as output_error:
            return output_error
    return None


def _without_empty(arguments: Sequence[str]) -> Iterator[str]:
    """Yield `arguments` without the options whose value is empty: empty is unset, as in the environment."""
    arguments = list(arguments)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for position, argument in enumerate(arguments):
        follows_option = position > 0 and arguments[position - 1].startswith("--")
        is_empty_value = argument == "" and follows_option
        has_empty_value = arguments[position + 1 : position + 2] == [""] or argument.endswith("=")
        if position >= end or not (is_empty_value or (argument.startswith("--") and has_empty_value)):
            yield argument


def _application(commands: Mapping[str, Command | dict[str, Command]]) -> typer.Typer:
    """Return the application with these commands; a dictionary is a group of them, which has its own."""
    application = typer.Typer(
        no_args_is_help=len(commands) > 1,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="The OpenStack application tutorial: a small distributed program that renders Julia sets.",
    )
    if len(commands) > 1:
        application.callback()(_with_debug(lambda: None))
    for name, command in commands.items():
        if isinstance(command, dict):
            group = _application(command)
            group.info.help = HELP[name]
            application.add_typer(group, name=name.replace("_", "-"))
        else:
            application.command(name)(_with_debug(expand_groups(command)))
    return application


def _with_debug(command: Callable[..., None]) -> Callable[..., None]:
    """Return `command` with the option `--debug`, which `_execute` looks for where nothing is parsed yet."""

    @functools.wraps(command)
    def wrapped(debug: bool = False, **given: object) -> None:
        try:
            command(**given)
        except BrokenPipeError as error:
            raise errors.PipeClosedError from error  # Typer would end with 1

    signature = inspect.signature(command)
    vars(wrapped)["__signature__"] = signature.replace(parameters=[*signature.parameters.values(), DEBUG])
    return wrapped
