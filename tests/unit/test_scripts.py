"""The scripts beside the application: benchmarks, and what the targets of the Makefile run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.waiting import TIMEOUT

ROOT = next(parent for parent in Path(__file__).parents if (parent / "Makefile").exists())

BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))

SCRIPTS = sorted(
    {*re.findall(r"\.venv/bin/python (\S+\.py)", (ROOT / "Makefile").read_text())}
    | {f"benchmarks/{name}.py" for name in ("steps", "watching", "web")}
)


def run(*arguments: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        env=os.environ | {"OAT_BROKER_URL": "amqp://127.0.0.1/"},  # dramatiq wants one when it is imported
    )  # fmt: skip


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_finds_all_names_that_it_imports(name: str) -> None:
    done = run("-c", f"import {name}", folder=ROOT / "benchmarks")
    if done.returncode and re.search(r"No module named '(celery|dramatiq)'\s*$", done.stderr):
        pytest.skip("the peers for comparison are not installed; make bench-load brings them")
    assert done.returncode == 0, done.stderr


def test_every_script_of_the_makefile_is_known() -> None:
    assert len(SCRIPTS) > 8
    assert all((ROOT / script).exists() for script in SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_answers_help_and_does_nothing_else(script: str) -> None:
    done = run(script, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
