"""A terminal that is closed stops its services as Ctrl-C does, and leaves alone what nohup started."""

import os
import pty
import subprocess

import pytest

from helpers.guard import guard_process
from helpers.processes import BIN
from helpers.system import System
from helpers.waiting import TIMEOUT, wait_until

IN_TERMINAL = ("setsid", "--ctty", "env", "--default-signal=HUP")
"""The words before a command that belongs to the terminal that is its input; whatever has started these tests may
ignore SIGHUP."""


def start_in_terminal(system, *words):
    """Start a command; return it, once it logs, and our end of its terminal."""
    log = system.folder / "log"
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [*IN_TERMINAL, *words], env=system.environment | {"OAT_LOG_FILE": str(log)}, cwd=system.folder,
        stdin=its_end, stdout=its_end, stderr=its_end,
    )  # fmt: skip
    guard_process(process.pid)
    os.close(its_end)
    wait_until(lambda: log.exists() and log.read_text(), "the first line of the log")
    return process, terminal


@pytest.mark.parametrize("command", ["oat-worker", "oat-tracker", "oat-producer", "oat web", "oat run"])
def test_a_closed_terminal_stops_a_service(tmp_path, command):
    name, *arguments = command.split()
    arguments += ["--port", "0"] if "web" in arguments else []
    arguments += ["--tasks", "100000"] if "run" in arguments else []
    with System(tmp_path) as system:
        process, terminal = start_in_terminal(system, BIN / name, *arguments)
        os.close(terminal)
        # What `oat run` prints may find no terminal before it has the signal: an error, and a stop as well.
        assert process.wait(TIMEOUT) in ((1, 130) if "run" in command else (0,))


def test_nohup_keeps_a_service_at_work(tmp_path):
    with System(tmp_path) as system:
        process, terminal = start_in_terminal(system, "nohup", BIN / "oat-worker")
        os.close(terminal)
        system.produce(3)
        wait_until(lambda: len(list(system.images.glob("*.png"))) == 3, "the images")
        process.terminate()
        assert process.wait(TIMEOUT) == 0
        assert "SIGHUP" not in (tmp_path / "log").read_text()
