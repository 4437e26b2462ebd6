"""Mutants: faults that are planted into a copy of the sources, one by one, to see that a test catches each."""

import os
import shutil
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = next(parent for parent in Path(__file__).parents if (parent / "Makefile").exists())

MUTANTS = ROOT / "tests" / "mutants" / "mutants.toml"

IGNORED = shutil.ignore_patterns(".*", "__pycache__", "_build", "*.egg-info")
"""What no copy needs: git's folder, .venv, caches."""


@dataclass(frozen=True)
class Change:
    """A line of the source, without its indentation, and what replaces it."""

    line: str
    becomes: str


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Lines of a module, and the wrong ones that replace them."""

    module: Path
    """Below the root."""
    changes: tuple[Change, ...]
    after: str = ""
    """Lines before the first that begins with this are left alone."""

    @classmethod
    def of(cls, module: str, *changes: tuple[str, str], after: str = "") -> "Fault":
        """Return a fault in `module` below `src/oat`: `changes` are whole lines and what they become."""
        pairs = ((line.strip(), textwrap.dedent(becomes).strip("\n")) for line, becomes in changes)
        return Fault(module=Path("src/oat", module), changes=tuple(Change(*pair) for pair in pairs), after=after)

    def plant(self, source: str) -> str:
        """Return the text of the module with the fault.

        Raises:
            ValueError: a line is not there, or more than once.
        """
        lines = source.splitlines()
        first = next((n for n, line in enumerate(lines) if line.startswith(self.after)), len(lines))
        for change in self.changes:
            found = [n for n in range(first, len(lines)) if lines[n].strip() == change.line]
            if len(found) != 1 and not (self.after and found):
                raise ValueError(f"{self.module} has {len(found)} times the line: {change.line}")
            indentation = lines[found[0]][: -len(lines[found[0]].lstrip())]
            lines[found[0]] = "\n".join(indentation + line for line in change.becomes.splitlines())
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, kw_only=True)
class Mutant(Fault):
    """A fault, the rule that it breaks, and the test that catches it."""

    rule: str
    test: str


def load() -> list[Mutant]:
    """Return the mutants of `mutants.toml`."""
    return [
        Mutant(
            rule=entry["rule"],
            module=Path("src/oat", entry["module"]),
            changes=tuple(Change(line.strip(), becomes) for line, becomes in entry["changes"]),
            test=f"tests/{entry['test']}",
            after=entry.get("after", ""),
        )
        for entry in tomllib.loads(MUTANTS.read_text())["mutant"]
    ]


def copy_tree(source: Path, folder: Path, fault: Fault | None = None) -> Path:
    """Copy the sources and tests from `source` to `folder`, with `fault`; return `folder`."""
    shutil.copytree(source, folder, ignore=IGNORED, symlinks=True)
    if fault:
        module = folder / fault.module
        module.write_text(fault.plant(module.read_text()))
    return folder


def environment(copy: Path) -> dict[str, str]:
    """Return the variables with which Python, and every command of ours, imports the copy."""
    return os.environ | {"PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1", "CI": "true"}
