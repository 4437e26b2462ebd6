"""A terminal that is closed stops its services as Ctrl-C does, and leaves alone what nohup started."""

import os
import pty
import signal

import pytest

from helpers.guard import guard_process
from helpers.processes import BIN
from helpers.system import System
from helpers.waiting import wait_until


def end(pid):
    """Wait for a process to end; return its exit code."""
    status = wait_until(
        lambda: [each for each in [os.waitpid(pid, os.WNOHANG)] if each[0]], "the end of the process"
    )
    return os.waitstatus_to_exitcode(status[0][1])


def start_in_terminal(system, *words):
    """Start a command as a terminal's shell does; return its process ID, and our end of the terminal."""
    pid, terminal = pty.fork()
    if not pid:  # the child
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever has started these tests may ignore it
        os.chdir(system.folder)  # where nohup writes what goes to a terminal
        os.execvpe(words[0], words, system.environment)
    guard_process(pid)
    return pid, terminal


@pytest.mark.parametrize("command", ["oat-worker", "oat-tracker", "oat-producer", "oat web", "oat run"])
def test_a_closed_terminal_stops_a_service(tmp_path, command):
    log = tmp_path / "log"
    with System(tmp_path, OAT_LOG_FILE=str(log)) as system:
        name, *arguments = command.split()
        arguments += ["--port", "0"] if "web" in arguments else []
        arguments += ["--tasks", "100000"] if "run" in arguments else []
        pid, terminal = start_in_terminal(system, str(BIN / name), *arguments)
        wait_until(lambda: log.exists() and log.read_text(), "the first line of the log")
        os.close(terminal)
        os.kill(pid, signal.SIGHUP)  # the shell tells its jobs as well
        # What `oat run` prints may find no terminal before it has the signal: an error, and a stop as well.
        assert end(pid) in ((1, 130) if "run" in command else (0,))


def test_nohup_keeps_a_service_at_work(tmp_path):
    log = tmp_path / "log"
    with System(tmp_path, OAT_LOG_FILE=str(log)) as system:
        pid, terminal = start_in_terminal(system, "nohup", str(BIN / "oat-worker"))
        wait_until(lambda: log.exists() and log.read_text(), "the first line of the log")
        os.close(terminal)
        system.produce(3)
        wait_until(lambda: len(list(system.images.glob("*.png"))) == 3, "the images")
        os.kill(pid, signal.SIGTERM)
        assert end(pid) == 0
        assert "SIGHUP" not in log.read_text()
