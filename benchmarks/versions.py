"""Versions of `oat` to run side by side: this checkout, and an older commit of it in a temporary folder."""

import contextlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from helpers.guard import temporary_folder

CHECKOUT = Path(__file__).parent.parent

_LAUNCHER = "import sys; sys.argv[0] = {name!r}; from {module} import {function} as main; sys.exit(main())"


@dataclass(frozen=True)
class Version:
    """A checkout of `oat`, and the Python that has its dependencies."""

    name: str
    folder: Path
    python: str = sys.executable

    def command(self, name: str, *options: object) -> list[str]:
        """Return the words that run its command `name`, as its package would install it."""
        scripts = tomllib.loads((self.folder / "pyproject.toml").read_text())["project"]["scripts"]
        module, _, function = scripts[name].partition(":")
        code = _LAUNCHER.format(name=name, module=module, function=function)
        return [self.python, "-c", code, *map(str, options)]

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of its commands, with `variables` and without the settings of the caller."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OAT_")}
        return inherited | {"PYTHONPATH": str(self.folder / "src")} | variables


def this_version() -> Version:
    """Return the version of this checkout, with what is not committed."""
    return Version("this", CHECKOUT)


@contextlib.contextmanager
def older_version(commit: str) -> Iterator[Version]:
    """Export `commit` into a temporary folder, which is removed when the block ends, or this process is killed.

    It runs on today's dependencies if they are what it has pinned, else in a virtual environment of its own.
    """
    with temporary_folder() as parent:
        folder = parent / "checkout"
        folder.mkdir()
        archive = subprocess.run(["git", "archive", commit], cwd=CHECKOUT, check=True, capture_output=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        python = sys.executable if _pins(folder) <= _pins(CHECKOUT) else _venv(folder, parent / "venv")
        yield Version(commit, folder, python)


def _pins(folder: Path) -> set[str]:
    return set(re.findall(r"^\S+==\S+", (folder / "requirements.txt").read_text(), re.MULTILINE))


def _venv(checkout: Path, folder: Path) -> str:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "--require-hashes", "-r", checkout / "requirements.txt"]
    subprocess.run(install, check=True)
    return python
