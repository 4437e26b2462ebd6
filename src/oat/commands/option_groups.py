"""Option groups: options that make one value together, so that commands share them and take the value ready-made.

A parameter `settings: Annotated[Settings, OptionGroup(...)]` of a command stands for all options of that group: on
the command line and in `--help` they take its place, and the command is called with the value they make.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_origin


@dataclass(frozen=True)
class OptionGroup:
    """Several options that make one value."""

    options: Sequence[inspect.Parameter]
    """As Typer reads them from a function's signature; see `option`."""
    make: Callable[..., object]
    """Returns the value, of the options as keyword arguments."""


def option(name: str, annotation: object, default: object = None) -> inspect.Parameter:
    """Declare an option: `annotation` is its type with a `typer.Option`, as in a command's signature."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def expand_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return `command` for Typer: its parameters that are option groups replaced by the options of the groups."""
    signature = inspect.signature(command)
    groups: dict[str, OptionGroup] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        group = _group_of(parameter.annotation)
        if group is None:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
        else:
            groups[name] = group
            parameters += group.options

    @functools.wraps(command)
    def expanded(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group.make(**{each.name: given.pop(each.name) for each in group.options})
        command(**given)

    vars(expanded)["__signature__"] = signature.replace(parameters=parameters)
    return expanded


def _group_of(annotation: Any) -> OptionGroup | None:
    if get_origin(annotation) is None:
        return None
    return next((each for each in getattr(annotation, "__metadata__", ()) if isinstance(each, OptionGroup)), None)
