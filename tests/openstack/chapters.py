"""Runs chapters of the tutorial on the cloud, and compares what comes with what they show.

The format is that of docs/tutorial: in a block `console`, what is typed stands behind `$ `, a backslash goes on in
the next line; below is what is seen. `...` in a line stands for any text, alone for any lines. What differs
from run to run (identifiers, times, addresses, numbers with a fraction) is compared by its kind.

With --update, what came is written into the chapter.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

COUNT = r"\b\d+\b"
PROMPT = "$ "
COUNTS_VARY = "<!-- counts vary -->"  # before a block
END = "end-of-command-0f2b"
KINDS = {
    "uuid": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "hexadecimal": r"\b[0-9a-f]{32}(?:[0-9a-f]{32})?\b",
    "mac": r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b",
    "time": r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+]\d{4})?",
    "address": r"\b(?:10\.20\.0|172\.24\.4)\.\d+\b",
    "version": r"\b\d+\.\d+\.\d+\b",
    "fraction": r"\b\d+\.\d+\b",
    "measure": r"\b\d+ ?(?:s|ms|seconds|MiB|KiB|bytes)\b",
}


def varies(counts_vary: bool) -> re.Pattern[str]:
    """Finds in a line what differs from run to run; gaps and rules are as wide as what is in the table."""
    kinds = KINDS | ({"count": COUNT} if counts_vary else {})
    parts = [f"(?P<{kind}>{pattern})" for kind, pattern in kinds.items()]
    return re.compile("|".join([*parts, r"(?P<dots>\.\.\.)", r"(?P<gap>[\s+-]{2,}|\s)"]))


@dataclass
class Step:
    """A command, and what is to be seen."""

    number: int  # of its line
    command: str
    shown: list[str] = field(default_factory=list)
    counts_vary: bool = False  # whole numbers are compared by kind as well


def steps_of(text: str) -> list[Step]:
    """The steps of a chapter."""
    steps: list[Step] = []
    inside = continued = counts_vary = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            counts_vary = counts_vary and not inside
            inside = line == "```console"
        elif line == COUNTS_VARY:
            counts_vary = True
        elif inside and continued:
            steps[-1].command += f"\n{line}"
            continued = line.endswith("\\")
        elif inside and line.startswith(PROMPT):
            steps.append(Step(number, line.removeprefix(PROMPT), counts_vary=counts_vary))
            continued = line.endswith("\\")
        elif inside:
            steps[-1].shown.append(line)
    return steps


def pattern(line: str, counts_vary: bool) -> str:
    """The pattern of lines that are like this one."""
    result, end = "", 0
    for found in varies(counts_vary).finditer(line):
        kind = found.lastgroup or ""
        result += re.escape(line[end : found.start()])
        result += {"dots": ".*", "gap": r"[\s+-]+", "count": COUNT}.get(kind) or KINDS[kind]
        end = found.end()
    return result + re.escape(line[end:]) + r"\s*"


def is_like(shown: list[str], came: list[str], counts_vary: bool) -> bool:
    """Whether all lines came, in order, and no others but for those that `...` stands for."""
    if not shown:
        return not came
    first, rest = shown[0], shown[1:]
    if first == "...":
        return any(is_like(rest, came[start:], counts_vary) for start in range(len(came) + 1))
    if not came or not re.fullmatch(pattern(first, counts_vary), came[0]):
        return False
    return is_like(rest, came[1:], counts_vary)


class Shell:
    """A bash that the commands of one chapter are typed into, in the folder of the repository."""

    def __init__(self, folder: Path) -> None:
        environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        environment |= {"HOME": "/root", "PYTHONWARNINGS": "ignore", "COLUMNS": "120"}
        self._bash = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            text=True,
        )

    def type(self, command: str) -> list[str]:
        """Runs a command; the lines it prints."""
        assert self._bash.stdin
        assert self._bash.stdout
        self._bash.stdin.write(f"{command}\necho; echo {END}\n")
        self._bash.stdin.flush()
        lines = []
        for line in self._bash.stdout:
            if line == f"{END}\n":
                break
            lines.append(line.rstrip())
        return lines[:-1] if lines and not lines[-1] else lines

    def end(self) -> None:
        """Ends it."""
        assert self._bash.stdin
        self._bash.stdin.close()
        self._bash.wait()


def run(path: Path, folder: Path, *, is_update: bool = False) -> list[str]:
    """Runs a chapter; where it differs from what it shows."""
    text = path.read_text().splitlines()
    differences = []
    shell = Shell(folder)
    changes: list[tuple[Step, list[str]]] = []
    for step in steps_of("\n".join(text)):
        began = time.monotonic()
        came = shell.type(step.command)
        print(
            f"{time.monotonic() - began:6.1f} s  {path.name}:{step.number}: {step.command.splitlines()[0][:90]}",
            flush=True,
        )
        if not is_like(step.shown, came, step.counts_vary):
            changes.append((step, came))
            differences.append("\n  ".join([f"{path.name}:{step.number}: $ {step.command}", "came:", *came]))
            if not is_update:
                break
    shell.end()
    if is_update:
        for step, came in reversed(changes):
            start = step.number + step.command.count("\n")
            text[start : start + len(step.shown)] = came
        path.write_text("\n".join(text) + "\n")
    return differences


def main() -> int:
    """Runs the chapters in order; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="+", type=Path)
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    for chapter in options.chapters:
        differences = run(chapter, Path(__file__).parents[2], is_update=options.update)
        if differences:
            print("\n".join(differences))
            if not options.update:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
