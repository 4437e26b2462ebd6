"""The exercises: a module `eNN_….py` each, with story, fault, hint, solution and check.

A module's docstring is the story: its first line the title, the rest what happened and what to look at. `FAULT` is
what is planted, `HINT` and `SOLUTION` are texts, and `check` raises `Harm` while the fault is there.
"""

import importlib
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from helpers.mutants import Fault
from lab import Lab

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Exercise:
    """One exercise."""

    number: int
    title: str
    story: str
    fault: Fault
    hint: str
    solution: str
    check: Callable[[Lab], str]
    """Returns what it has seen of a tree that is right; raises `Harm`."""


def load() -> dict[int, Exercise]:
    """Return all exercises by their numbers."""
    return {exercise.number: exercise for exercise in map(_read, sorted(FOLDER.glob("e[0-9][0-9]_*.py")))}


def _read(path: Path) -> Exercise:
    module = importlib.import_module(path.stem)
    title, _, story = (module.__doc__ or "").partition("\n")
    return Exercise(
        number=int(path.stem[1:3]),
        title=title.strip(),
        story=story.strip(),
        fault=module.FAULT,
        hint=textwrap.dedent(module.HINT).strip(),
        solution=textwrap.dedent(module.SOLUTION).strip(),
        check=module.check,
    )
