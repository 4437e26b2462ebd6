"""`.ci/venv`, which every target that needs `.venv` calls: afterwards `.venv` works, whatever it was before."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.validators import ROOT

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "small"
version = "1"
[project.scripts]
oat = "oat:main"
oat-worker = "oat:main"
[tool.hatch.build.targets.wheel]
packages = ["src/oat"]
"""


class Checkout:
    """A checkout of a program that needs nothing, with the real `.ci/venv`."""

    def __init__(self, folder):
        self.folder = folder
        (folder / ".ci").mkdir()
        shutil.copy(ROOT / ".ci/venv", folder / ".ci/venv")
        (folder / "src/oat").mkdir(parents=True)
        (folder / "src/oat/__init__.py").write_text("def main(): print('at work')\n")
        (folder / "pyproject.toml").write_text(PYPROJECT)
        (folder / "requirements.txt").touch()

    def set_up(self, python=sys.executable, **variables):
        return self._call(".ci/venv", "run", PYTHON=str(python), **variables)

    def works(self):
        return (self.folder / ".venv").exists() and self._call(".venv/bin/oat-worker").stdout == "at work\n"

    def _call(self, *command, **variables):
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
        try:
            return subprocess.run(
                command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:  # the interpreter of a script
            return subprocess.CompletedProcess(command, 127, "", str(error))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    done = checkout.set_up()
    assert done.returncode == 0, done.stdout + done.stderr
    assert checkout.works()
    return checkout


def site_packages(folder):
    return next((folder / ".venv/lib").glob("python3.*/site-packages"))


def python_gone(folder):
    (folder / ".venv/bin/python").unlink()
    (folder / ".venv/bin/python").symlink_to("/nowhere/python3")


def python_upgraded(folder):
    """The system's python3 is another version than the one whose library folder `.venv` has."""
    library = site_packages(folder).parent
    library.rename(library.with_name("python3.9"))


def program_gone(folder):
    for path in site_packages(folder).glob("*small*.pth"):
        path.unlink()


def checkout_moved(folder):
    """The commands name an interpreter that is no longer there."""
    script = folder / ".venv/bin/oat-worker"
    script.write_text(script.read_text().replace(str(folder), "/nowhere", 1))


def install_interrupted(folder):
    (folder / ".venv/run").unlink()
    program_gone(folder)


def file_gone(folder):
    """Of a library that the commands load later than at their start."""
    (site_packages(folder) / "pip/_vendor/certifi/cacert.pem").unlink()


def file_emptied(folder):
    """As a power cut may have left it."""
    (site_packages(folder) / "pip/_vendor/certifi/cacert.pem").write_text("")


LONG = (program_gone, checkout_moved, install_interrupted, file_gone, file_emptied)
"""Each makes a virtual environment: two of them do for every run, and a file that is gone while it is active."""


@pytest.mark.parametrize(
    "harm",
    [python_gone, python_upgraded, *(pytest.param(harm, marks=pytest.mark.long) for harm in LONG)],
)
def test_a_broken_venv_is_mended(installed, harm):
    harm(installed.folder)
    assert not installed.works() or harm in (install_interrupted, file_gone, file_emptied)
    done = installed.set_up()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Setting up .venv" in done.stdout
    assert installed.works()


def test_a_broken_venv_is_mended_while_it_is_active(installed):
    """As in a terminal of the tutorial: `python3` is the one in the folder that is made anew."""
    file_gone(installed.folder)
    active = installed.folder / ".venv/bin"
    path = f"{active}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = installed.set_up("python3", PATH=path, VIRTUAL_ENV=str(active.parent))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Setting up .venv" in done.stdout
    assert installed.works()
    assert not (active / "python3").resolve().is_relative_to(installed.folder)


def test_a_venv_that_works_is_left_alone(installed):
    installed.set_up()
    mine = site_packages(installed.folder) / "mine.py"
    mine.touch()
    os.utime(installed.folder / "requirements.txt")  # newer than everything that was installed
    done = installed.set_up()
    assert (done.returncode, done.stdout) == (0, "")
    (installed.folder / ".venv/run").unlink()  # as made by hand, after the README
    assert installed.set_up().returncode == 0
    assert mine.exists()
    assert installed.works()


def test_a_python_without_venv_is_named(tmp_path):
    python = tmp_path / "python-without-venv"
    python.write_text(f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = Checkout(Path(tmp_path)).set_up(python)
    assert done.returncode == 1
    assert f"{python} has no venv: install the package python3-venv" in done.stderr
