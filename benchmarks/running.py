"""Runs a service beside a benchmark."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from helpers.guard import guard_process


@contextmanager
def running(
    command: Sequence[str | Path], environment: Mapping[str, str], log: Path, folder: Path | None = None
) -> Iterator[psutil.Process]:
    """Run a service until the block ends, or this process does; it appends to `log`, and works in `folder`."""
    with log.open("ab") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, cwd=folder)
    guard_process(process.pid)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
