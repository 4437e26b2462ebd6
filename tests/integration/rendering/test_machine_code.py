"""The renderer, compiled in new processes: for older machines, into its cache, and where that is damaged."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import HELPERS
from helpers.waiting import TIMEOUT
from oat.rendering.machine_code import cpu_features

INSTRUCTION_SETS = {
    "sse2": "+sse,+sse2,+cx16",
    "avx": "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+cx16,+popcnt,+avx",
    "avx2": "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+cx16,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2",
}


def warm_up(cache: Path) -> bytes:
    """Return what a new process logs."""
    code = "import logging; logging.basicConfig(level=20); from oat.rendering import warm_up; warm_up()"
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True, timeout=TIMEOUT
    ).stderr


def test_compiling_is_logged_once(tmp_path: Path) -> None:
    said = warm_up(tmp_path)
    assert said.count(b"compiling the renderer") == 1
    assert said.count(b"\n") == 1
    assert warm_up(tmp_path) == b""


def test_damaged_machine_code_is_made_again(tmp_path: Path) -> None:
    warm_up(tmp_path)
    good = {file: file.read_bytes() for file in tmp_path.glob("oat/*")}
    assert len(good) == 2
    for damage in (lambda _: b""), (lambda code: code[:-1]), (lambda code: code[:-1] + bytes([code[-1] ^ 1])):
        for file, code in good.items():
            file.write_bytes(damage(code))
        assert b"compiling the renderer" in warm_up(tmp_path)
        assert {file: file.read_bytes() for file in good} == good


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    no_folder = tmp_path / "file"
    no_folder.touch()
    assert b"can't be kept" in warm_up(no_folder)


def test_numba_is_not_needed_once_compiled() -> None:
    code = "import sys; from oat.rendering import warm_up; warm_up(); sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", "from oat.rendering import warm_up; warm_up()"], check=True)
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("variable", ["NUMBA_DISABLE_JIT=1", "NUMBA_NUM_THREADS=many", "NUMBA_OPT=max"])
def test_variables_of_numba_change_nothing(tmp_path: Path, variable: str) -> None:
    name, _, value = variable.partition("=")
    environment = os.environ | {name: value, "XDG_CACHE_HOME": str(tmp_path)}
    python = [sys.executable, "-c", "from oat.rendering import warm_up; warm_up()"]
    done = subprocess.run(python, env=environment, check=True, capture_output=True)
    assert done.stderr == b""


@pytest.mark.parametrize("instructions", INSTRUCTION_SETS)
def test_instruction_sets_of_other_machines(instructions: str) -> None:
    """The same pixels from the instructions of older machines, as far as this one has them."""
    wanted = INSTRUCTION_SETS[instructions]
    if not {name[1:] for name in wanted.split(",")} <= cpu_features() | {"sse", "cx16"}:
        pytest.skip(f"this machine can't do {instructions}")
    environment = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": wanted}
    python = [sys.executable, "-c", "from helpers.pixels import check_this_machine; check_this_machine()"]
    subprocess.run(python, env=environment, cwd=HELPERS.parent, check=True)
