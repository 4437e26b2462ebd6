"""Runs chapters on the machine it is on, and compares, or with --update writes what came into them.

`python -m tutorial.run CHAPTER …`, as tests and `make tutorial` start it, on a machine of its own or in the cloud.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import httpx

from tutorial.chapter import KEYS, Line, Picture, Step, read_chapter
from tutorial.compare import Comparison, Names, Progress
from tutorial.kinds import ELLIPSIS
from tutorial.machine import CHECKOUT, HOME, NEEDS_CLOUD, NEEDS_NETWORK, ROOT
from tutorial.rewrite import renewed, replace_lines, rewritten
from tutorial.terminals import Desk, Terminal, plain_environment

TIMEOUT = 240
"""Seconds for a step to show what the chapter shows: machines that run tests may be slow."""

INSTALL_TIMEOUT = 1800
"""The same in a chapter that needs a network or the cloud: machines install what they need, servers are made."""

QUIET = 3
"""Seconds of silence after which, with --update, a program in the foreground has shown what it will."""


class DriftError(Exception):
    """The run is not as the chapter says; the text tells where, what was expected, and what came."""


class Run:
    """One run of a chapter."""

    def __init__(self, path: Path, is_update: bool, is_anew: bool = False) -> None:
        self.path, self.is_update, self.is_anew = path, is_update, is_anew
        text = path.read_text()
        is_in_cloud = NEEDS_CLOUD in text
        self.timeout = INSTALL_TIMEOUT if is_in_cloud or NEEDS_NETWORK in text else TIMEOUT
        self.update_timeout = max(TIMEOUT / 2, self.timeout / 4)
        """Seconds for a program in the foreground to show what was shown, before it counts as changed."""
        self.names = Names()
        if is_in_cloud:
            self.desk = Desk(plain_environment("/root", "root"), str(ROOT))
        else:
            self.desk = Desk(plain_environment(HOME), CHECKOUT)
        self.changes: dict[int, tuple[list[Line], list[str]]] = {}
        self._last: dict[int, Step] = {}
        """The last step at each terminal."""
        self._shown: dict[int, list[str]] = defaultdict(list)
        """The output so far of each terminal, since its last command."""

    def run(self) -> None:
        """Take all steps."""
        for each in read_chapter(self.path):
            if isinstance(each, Step):
                self._take(each)
            else:
                self._look_at(each)

    def _take(self, step: Step) -> None:
        terminal = self.desk.terminal(step.terminal)
        if step.typed is not None:
            self._nothing_left(terminal, step)
        if step.typed in KEYS:
            terminal.press(KEYS[step.typed])
        elif step.typed is not None:
            self._shown[step.terminal].clear()
            terminal.type(self.names.typed(step.typed))
        self._last[step.terminal] = step
        self._compare(terminal, step)

    def _nothing_left(self, terminal: Terminal, step: Step) -> None:
        """See to it that all that has come at a terminal is shown in the chapter."""
        self.desk.wait(lambda: True, 0)
        if not (lines := terminal.lines()):
            return
        last = self._last.get(step.terminal)
        if last and last.lines and last.lines[-1].text == ELLIPSIS:
            terminal.take(len(lines))  # it stands for these as well
            return
        if not self.is_update or last is None:
            raise DriftError(self._report(step.number, step.terminal, "nothing more before this line", lines[0]))
        old, new = self.changes.get(last.behind, (last.lines, [line.text for line in last.lines]))
        self.changes[last.behind] = (old, [*new, *(lines if self.is_anew else map(self.names.shown, lines))])
        terminal.take(len(lines))

    def _compare(self, terminal: Terminal, step: Step) -> None:
        comparison = Comparison(step.lines, step.counts_vary, is_all=step.ends)
        outcome = comparison.match([], self.names)

        def is_decided() -> bool:
            nonlocal outcome
            if step.ends and not terminal.asks:
                return False
            outcome = comparison.match(terminal.lines(), self.names)
            return not isinstance(outcome, Progress) or terminal.asks or not outcome.may_come

        is_in_time = self.desk.wait(
            is_decided, self.update_timeout if self.is_update and not step.ends else self.timeout
        )
        if self.is_update and not step.ends and (isinstance(outcome, Progress) or not step.lines):
            self._wait_for_silence(terminal)
        came = terminal.lines()
        is_match = not isinstance(outcome, Progress) and (terminal.asks or not step.ends)
        if is_match and (step.lines or not came or not self.is_update):
            assert not isinstance(outcome, Progress)
            self.names = outcome.names
            if self.is_anew:
                self.changes[step.behind] = (step.lines, renewed(outcome, came, step.counts_vary))
            terminal.take(outcome.used)
            self._shown[step.terminal] += came[: outcome.used]
        elif self.is_update and (is_in_time or not step.ends):
            new, self.names = rewritten(step, came, self.names, self.is_anew)
            self.changes[step.behind] = (step.lines, new)
            terminal.take(len(came))
        else:
            progress = outcome if isinstance(outcome, Progress) else Progress()
            raise DriftError(self._explain(step, terminal, progress))

    def _wait_for_silence(self, terminal: Terminal) -> None:
        self.desk.wait(lambda: bool(terminal.lines()), TIMEOUT / 8)
        before = None
        while before != (before := terminal.lines()):
            self.desk.wait(lambda: False, QUIET)

    def _explain(self, step: Step, terminal: Terminal, progress: Progress) -> str:
        number = progress.line.number if progress.line else step.lines[-1].number if step.lines else step.number
        expected = progress.line.text if progress.line else "nothing more"
        came = progress.came
        if came is None and progress.matched >= 0 and progress.line is None:
            came = next(iter(terminal.lines()[progress.matched :]), None)
        if came is None and step.ends and not terminal.asks:
            came = f"nothing: the command is still running after {self.timeout} seconds"
        report = self._report(number, step.terminal, expected, came or "nothing")
        meant = self.names.typed(expected)
        if meant != expected:
            report += f"\n  which is in this run: {meant}"
        lines = [*self._shown[step.terminal], *terminal.lines()][-20:]
        return "\n".join(
            [report, f"the last lines of terminal {step.terminal}:", *(f"  | {line}" for line in lines)]
        )

    def _report(self, number: int, terminal: int, expected: str, came: str) -> str:
        name = f"docs/tutorial/{self.path.name}"
        return f"{name}:{number}: at terminal {terminal}\n  expected: {expected}\n  came:     {came}"

    def _look_at(self, picture: Picture) -> None:
        if self.is_update:
            from tutorial.pictures import take_picture  # noqa: PLC0415 (Chromium, which only this needs)

            take_picture(picture)
        elif not picture.file.exists():
            raise DriftError(
                self._report(picture.number, 0, str(picture.file.name), "no such picture: make tutorial")
            )
        else:
            status = httpx.get(picture.url.partition("#")[0], follow_redirects=True).status_code
            if status != httpx.codes.OK:
                raise DriftError(self._report(picture.number, 0, f"a page at {picture.url}", f"status {status}"))


def main() -> int:
    """Run chapters, one after the other, until one differs; return whether one does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chapters", type=Path, nargs="+")
    parser.add_argument(
        "--update", action="store_true", help="write what came into the chapter, and make its pictures"
    )
    parser.add_argument(
        "--anew", action="store_true", help="with --update: also values that varied, those of one run throughout"
    )
    options = parser.parse_args()
    return 0 if all(run(chapter, options.update, options.anew) for chapter in options.chapters) else 1


def run(chapter: Path, is_update: bool, is_anew: bool) -> bool:
    """Run a chapter, in terminals of its own; return whether it ran to its end."""
    one = Run(chapter, is_update, is_anew)
    try:
        one.run()
    except DriftError as drift:
        print(drift)
        return False
    finally:
        one.desk.close()
        if is_update and not is_anew:
            replace_lines(chapter, one.changes)
    if is_anew:
        replace_lines(chapter, one.changes, one.names)
    return True


if __name__ == "__main__":
    sys.exit(main())
