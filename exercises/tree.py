"""The learner's tree: what is planted in it, and how everything is put back.

What is planted, and what became of each exercise, is remembered in `.exercise.json`, which git ignores. A fault is
only planted into a `src/` without changes, so to put back means: as in the commit of that moment. A version of the
learner's that is overwritten is kept as a patch, `.exercise.3.patch` of exercise 3.
"""

import json
import shutil
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path

from catalogue import Exercise


class Refusal(Exception):  # noqa: N818 (an answer)
    """What is asked for would destroy work, or cannot be done; the message says what to do."""


def patch_name(exercise: Exercise) -> str:
    """Return the name of the file in which a learner's version of `exercise` is kept."""
    return f".exercise.{exercise.number}.patch"


@dataclass
class State:
    """What is remembered."""

    planted: int | None = None
    """The number of the exercise that is planted."""
    commit: str = ""
    """The commit whose `src/` is right."""
    done: dict[str, str] = field(default_factory=dict)
    """What became of exercises, by their numbers: "mended" or "solution shown"."""


class Tree:
    """A checkout in which exercises are planted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._file = root / ".exercise.json"
        self.state = State(**json.loads(self._file.read_text())) if self._file.exists() else State()

    def plant(self, exercise: Exercise, present: Exercise | None) -> None:
        """Plant the fault of `exercise`; `present` is the one that is planted now.

        Raises:
            Refusal: there is no git, or `src/` has changes.
        """
        if present is not None and self._is_untouched(present):
            self.put_back(present)
        if changes := self._git("status", "--porcelain", "--untracked-files=all", "--", "src").rstrip():
            raise Refusal(self._refusal(changes, present))
        self.state.planted, self.state.commit = exercise.number, self._git("rev-parse", "HEAD").strip()
        module = self.root / exercise.fault.module
        module.write_text(exercise.fault.plant(module.read_text()))
        self._save()

    def put_back(self, present: Exercise) -> str | None:
        """Put `src/` back as it was before `present` was planted.

        Returns:
            The name of the patch in which the learner's version is kept; None if it was as planted.
        """
        kept = None if self._is_untouched(present) else patch_name(present)
        if kept:
            (self.root / kept).write_text(self._git("diff", "--binary", self.state.commit, "--", "src"))
        self._git("restore", f"--source={self.state.commit}", "--staged", "--worktree", "--", "src")
        return kept

    def forget_planted(self) -> None:
        """Note that nothing is planted."""
        self.state.planted, self.state.commit = None, ""
        self._save()

    def note(self, number: int, what: str) -> None:
        """Note what became of an exercise; who was shown the solution has not mended it."""
        self.state.done.setdefault(str(number), what)
        self._save()

    def right(self, exercise: Exercise) -> str:
        """Return the text of the module of `exercise` before the fault was planted."""
        return self._git("show", f"{self.state.commit}:{exercise.fault.module.as_posix()}")

    def _is_untouched(self, exercise: Exercise) -> bool:
        """Tell whether `src/` is as it was when `exercise` was planted, or as it was before that."""
        changed = self._git("diff", "--name-only", self.state.commit, "--", "src").split()
        if changed != [exercise.fault.module.as_posix()]:
            return not changed
        return (self.root / exercise.fault.module).read_text() == exercise.fault.plant(self.right(exercise))

    def _refusal(self, changes: str, present: Exercise | None) -> str:
        if present is None:
            return (
                f"There are changes of your own in src/:\n\n{changes}\n\n"
                "Commit them, or put them aside (git stash): an "
                "exercise breaks src/, and you could not tell its fault from your changes."
            )
        return (
            f"Exercise {present.number} is planted, and you have begun to mend it:\n\n{changes}\n\n"
            f"make exercise N=0 puts all back, and keeps your version in {patch_name(present)}; new files are "
            "yours to delete."
        )

    def _git(self, *arguments: str) -> str:
        if shutil.which("git") is None:
            raise Refusal("git is not installed: it tells what you have changed, and puts it back.")
        done = subprocess.run(["git", "-C", self.root, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Refusal(f"Exercises need a clone of the repository; git says: {done.stderr.strip()}")
        return done.stdout

    def _save(self) -> None:
        self._file.write_text(json.dumps(asdict(self.state)) + "\n")
