"""Exercises: a tree that is broken in one place, a check that shows the harm, and a learner who mends it.

`make exercise N=3`, `make hint`, `make check`, `make solve`, `make exercise N=0`; README.md says more.
"""

import argparse
import difflib
import subprocess
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "exercises"), str(ROOT / "tests")]

from rich.console import Console  # noqa: E402 (the folders first)

HARM, UNKNOWN, INTERRUPTED = 1, 3, 130
"""Exit codes of a check: the harm was seen; nothing can be said, as a service or the check itself has ended; or
it was interrupted."""

try:
    from catalogue import Exercise, load
    from helpers.servers import MissingError
    from lab import Crash, Harm, Lab
    from tree import Refusal, Tree
except Exception:  # of what a learner has written
    print(f"Nothing can be said or done: this tree cannot be loaded.\n{traceback.format_exc(limit=-1)}")
    print("Mend that, or put your changes away with git stash (git stash pop brings them back).")
    sys.exit(UNKNOWN)

console = Console(highlight=False, emoji=False)


def say(text: str, style: str = "", wrap: bool = True) -> None:
    """Print `text` as it is, in lines that a projector shows well."""
    console.print(text, style=style, markup=False, soft_wrap=not wrap, width=min(console.width, 100))


def reflow(text: str) -> str:
    """Return `text` with each paragraph in one line, to be wrapped anew."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def where_it_is(kept: str | None) -> str:
    """Return a sentence about the learner's version, if it was `kept`."""
    return f" Your version is in {kept}." if kept else ""


def list_all(tree: Tree, exercises: dict[int, Exercise]) -> None:
    """Print all exercises, each with its state."""
    for number, exercise in exercises.items():
        state = "planted" if number == tree.state.planted else tree.state.done.get(str(number), "")
        say(f"{number:3}  {exercise.title:45} {state}".rstrip())
    say("\nmake exercise N=3 plants one, N=0 puts all back; make hint, check and solve are for the one planted.")


def find(exercises: dict[int, Exercise], number: int | None) -> Exercise:
    """Return exercise `number`.

    Raises:
        Refusal: there is none.
    """
    if number not in exercises:
        raise Refusal(f"There is no exercise {number}: they are 1 to {max(exercises)}.")
    return exercises[number]


def plant(tree: Tree, exercises: dict[int, Exercise], number: int) -> None:
    """Plant exercise `number` and tell its story, or put all back if it is 0."""
    present = exercises.get(tree.state.planted or 0)
    if number == 0:
        if present is None:
            say("No exercise is planted.")
            return
        kept = tree.put_back(present)
        tree.forget_planted()
        say(f"src/ is as it was.{where_it_is(kept)}")
        return
    exercise = find(exercises, number)
    tree.plant(exercise, present)
    say(f"{number}. {exercise.title}\n", "bold")
    say(reflow(exercise.story))
    say("\nmake check shows the harm; mend src/ until it shows none. make hint helps, make solve solves.")


def solve(tree: Tree, exercise: Exercise) -> None:
    """Put in the solution, show the difference, and say why it is right."""
    right = tree.right(exercise)
    planted = exercise.fault.plant(right)
    kept = tree.put_back(exercise)
    tree.note(exercise.number, "solution shown")
    lines = difflib.unified_diff(
        planted.splitlines(), right.splitlines(), "broken", str(exercise.fault.module), n=2
    )
    for line in lines:
        say(line.rstrip("\n"), {"+": "green", "-": "red"}.get(line[0], ""), wrap=False)
    say(f"\n{reflow(exercise.solution)}{where_it_is(kept)}")


def check(exercise: Exercise, options: argparse.Namespace) -> int:
    """Run the check of `exercise`, say what it has seen, and return the exit code."""
    try:
        with Lab(options.broker_url, options.database_url) as lab:
            seen = exercise.check(lab)
    except Harm as harm:
        say(f"Not yet. {harm}", "bold red")
        return HARM
    except MissingError as missing:
        say(f"This check needs {missing}: tests/install-servers installs it, as root or by sudo.")
    except (Crash, subprocess.TimeoutExpired) as error:
        say(f"Nothing can be said: {error}", "bold red")
    except Exception:
        say(f"Nothing can be said: the check cannot use this tree.\n{traceback.format_exc(limit=-4)}", "bold red")
    else:
        say(f"Mended. {seen}", "bold green")
        return 0
    return UNKNOWN


def main() -> int:
    """Do what the command line asks for, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["exercise", "hint", "check", "solve"])
    parser.add_argument("number", nargs="?", type=int, help="an exercise; hint and check take the planted one")
    parser.add_argument(
        "--broker-url", help="check on this RabbitMQ, whose queues are empty, not on a private one"
    )
    parser.add_argument("--database-url", help="check on this empty MariaDB database, not on a private server")
    options = parser.parse_args()
    try:
        return run(options)
    except Refusal as refusal:
        say(str(refusal), "bold")
        return 2
    except KeyboardInterrupt:
        say("Interrupted.")
        return INTERRUPTED


def run(options: argparse.Namespace) -> int:
    """Run the command, and return the exit code.

    Raises:
        Refusal: it cannot be done.
    """
    tree, exercises = Tree(ROOT), load()
    planted, number = tree.state.planted, options.number
    if options.command == "exercise":
        list_all(tree, exercises) if number is None else plant(tree, exercises, number)
        return 0
    if number is None and planted is None:
        raise Refusal("No exercise is planted: make exercise N=3 plants one, make exercise lists all.")
    exercise = find(exercises, planted if number is None else number)
    if options.command == "solve" and exercise.number != planted:
        raise Refusal(f"Exercise {number} is not planted: make exercise N={number} plants it.")
    if options.command == "check":
        result = check(exercise, options)
        if result == 0 and exercise.number == planted:
            tree.note(exercise.number, "mended")
        return result
    solve(tree, exercise) if options.command == "solve" else say(reflow(exercise.hint))
    return 0


if __name__ == "__main__":
    sys.exit(main())
