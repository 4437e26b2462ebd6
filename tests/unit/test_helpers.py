"""What tests and benchmarks start ends with them, however they end; and when a soak's gauge is level."""

import signal
import subprocess
import sys
from importlib import util
from pathlib import Path

import psutil
import pytest

from helpers.waiting import wait_until

TESTS = next(
    parent for parent in Path(__file__).parents if (parent / "conftest.py").exists() and parent.name == "tests"
)

PARENT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from helpers.guard import guard_command
from helpers.processes import Processes
from helpers.servers import Server

class Sleeper(Server):
    def start(self):
        self.spawn("sh", "-c", "sleep 600 & sleep 600")

folder = Path(sys.argv[2])
server = Sleeper(folder)
server.start()
service = Processes(folder).start(sys.argv[3], "600")
guard_command(["touch", folder / "cleaned"])
print(server.process.pid, service.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_servers_and_services_end_with_who_started_them(tmp_path, number):
    command = [sys.executable, "-c", PARENT, TESTS, tmp_path, "/bin/sleep"]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    server, service = (psutil.Process(int(pid)) for pid in parent.stdout.readline().split())
    wait_until(server.children, "a process of the server's")
    started = [server, *server.children(), service]
    assert all(process.is_running() for process in started)
    parent.send_signal(number)
    parent.wait()
    wait_until(lambda: not any(alive(process) for process in started), "the end of all")
    wait_until((tmp_path / "cleaned").exists, "the command that cleans up")


def alive(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


spec = util.spec_from_file_location("gauges", TESTS / "soak/gauges.py")
gauges = util.module_from_spec(spec)
sys.modules["gauges"] = gauges
spec.loader.exec_module(gauges)


@pytest.mark.parametrize(
    ("values", "level"),
    [
        pytest.param([1] * 40, True, id="constant"),
        pytest.param([*range(20), *[20] * 20], True, id="it grew in the first half"),
        pytest.param([20, 21, 19, 20] * 10, True, id="noise"),
        pytest.param(range(40), False, id="it grows all the time"),
        pytest.param([*[5] * 20, *range(5, 25)], False, id="it grows in the second half"),
        pytest.param([7], True, id="one sample"),
    ],
)
def test_a_gauge_is_level_if_it_does_not_grow_in_the_second_half(values, level):
    assert gauges.is_level(gauges.medians(list(values)), share=0.05, amount=2) == level
