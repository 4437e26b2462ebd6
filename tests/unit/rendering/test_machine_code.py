"""The compiled renderer is cached, and a damaged or missing cache is made again."""

import os
import subprocess
import sys
from pathlib import Path


def warm_up(cache: Path) -> bytes:
    """Return what a new process logs."""
    code = "import logging; logging.basicConfig(level=20); from oat.rendering import warm_up; warm_up()"
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True, timeout=200
    ).stderr


def test_says_that_it_compiles_and_only_then(tmp_path: Path) -> None:
    said = warm_up(tmp_path)
    assert said.count(b"compiling the renderer") == 1
    assert said.count(b"\n") == 1
    assert warm_up(tmp_path) == b""


def test_damaged_machine_code_is_made_again(tmp_path: Path) -> None:
    warm_up(tmp_path)
    (file,) = tmp_path.glob("oat/*")
    good = file.read_bytes()
    for damaged in b"", good[:-1], good[:-1] + bytes([good[-1] ^ 1]):
        file.write_bytes(damaged)
        assert b"compiling the renderer" in warm_up(tmp_path)
        assert file.read_bytes() == good


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    no_folder = tmp_path / "file"
    no_folder.touch()
    assert b"can't be kept" in warm_up(no_folder)


def test_numba_is_not_needed_once_compiled() -> None:
    code = "import sys; from oat.rendering import warm_up; warm_up(); sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", "from oat.rendering import warm_up; warm_up()"], check=True)
    subprocess.run([sys.executable, "-c", code], check=True)
