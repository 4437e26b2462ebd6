"""What tests and benchmarks start ends with them, however they end; what a failure says; the gauges of a soak."""

import os
import re
import signal
import socket
import subprocess
import sys
from importlib import util
from pathlib import Path

import psutil
import pytest

from helpers.missing import leave_out, require
from helpers.power import forgetful_disk, leave_out_without_fuse
from helpers.waiting import TIMEOUT, free_port, wait_until

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


PLUGGING = """
import sys, time
sys.path.insert(0, sys.argv[1])
from helpers.guard import temporary_folder
from helpers.power import ForgetfulDisk

with temporary_folder() as folder:
    disk = ForgetfulDisk(folder / "disk", folder / "mounted")
    disk.plug_in()
    print(folder, disk._process.pid, flush=True)
    time.sleep(600)
"""


def test_a_folder_and_the_disk_mounted_in_it_end_with_who_made_them(tmp_path):
    leave_out_without_fuse()
    command = [sys.executable, "-c", PLUGGING, TESTS]
    with (tmp_path / "log").open("w+") as log:
        parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        line = parent.stdout.readline()
        if not line:
            log.seek(0)
            require(f"FUSE ({log.read().strip().splitlines()[-1]})")
    folder, pid = line.rsplit(maxsplit=1)
    disk = psutil.Process(int(pid))
    assert (Path(folder) / "mounted").is_mount()
    parent.kill()
    parent.wait()
    wait_until(lambda: not alive(disk), "the end of the disk")
    wait_until(lambda: not Path(folder).exists(), "the end of the folder")
    assert folder not in Path("/proc/mounts").read_text()


@pytest.fixture
def disk(tmp_path):
    """The process of a disk, as it is started by hand."""
    with forgetful_disk(tmp_path / "disk", tmp_path / "mounted") as disk:
        yield disk


def interrupted(disk):
    """Stop it as Ctrl-C does, and return its exit code and what it has said."""
    disk._process.send_signal(signal.SIGINT)
    disk._process.wait(TIMEOUT)
    return disk._process.returncode, (disk.folder / "log").read_text()


def test_a_disk_is_stopped_without_a_traceback_after_a_power_cut(disk):
    disk.cut(1, 0)
    code, said = interrupted(disk)
    assert code == 0, said
    assert "Error" not in said


def test_a_disk_names_the_folder_for_which_the_power_is_not_cut(disk):
    survived = disk.folder / "content-1"
    survived.mkdir()
    with pytest.raises(FileExistsError):
        disk.cut(1, 0)
    assert f"no power cut: {survived} exists" in (disk.folder / "log").read_text()
    survived.rmdir()
    assert list(disk.mountpoint.iterdir()) == []  # it still works


RELEASING = """
import sys
sys.path.insert(0, sys.argv[1])
from helpers.guard import guard_process, release_process
for pid in map(int, sys.argv[2:]):
    guard_process(pid)
release_process(int(sys.argv[2]))
"""


def test_what_has_been_stopped_is_left_alone():
    released, guarded = [subprocess.Popen(["sleep", "600"]) for _ in range(2)]
    try:
        command = [sys.executable, "-c", RELEASING, TESTS, str(released.pid), str(guarded.pid)]
        subprocess.run(command, check=True)
        assert guarded.wait(TIMEOUT) == -signal.SIGKILL
        assert released.poll() is None
    finally:
        for process in (released, guarded):
            process.kill()
            process.wait()


def test_packets_are_passed_on_while_anybody_wants_it():
    """It is a setting of a network namespace, here of a new one."""
    if os.getuid() != 0:
        leave_out("only root can have packets passed on")
    setting, pipe = "/proc/sys/net/ipv4/ip_forward", subprocess.PIPE
    words = ["unshare", "--net", "sh", "-c", f"echo 0 >{setting}; echo; exec sleep 600"]
    with subprocess.Popen(words, stdout=pipe) as place, subprocess.Popen(["sleep", "600"], stdout=pipe) as other:
        try:
            place.stdout.readline()
            inside = ["nsenter", f"--net=/proc/{place.pid}/ns/net"]

            def value():
                return subprocess.run([*inside, "cat", setting], capture_output=True, check=True).stdout

            holders = []
            for stdin in (pipe, other.stdout):
                holder = subprocess.Popen([*inside, TESTS / "helpers" / "forwarding"], stdin=stdin, stdout=pipe)
                assert holder.stdout.readline() == b"passes packets on\n"
                holders.append(holder)
            other.stdout.close()
            holders[0].communicate(timeout=TIMEOUT)
            assert value() == b"1\n"
            other.kill()
            holders[1].communicate(timeout=TIMEOUT)
            assert value() == b"0\n"
        finally:
            place.kill()
            other.kill()


CLAIMING = """
import sys
sys.path.insert(0, sys.argv[1])
import helpers.waiting
class FewPorts:
    def randrange(self, *_): return ports.pop()
helpers.waiting.random.SystemRandom = FewPorts
ports = [int(port) for port in sys.argv[2:]]
print(helpers.waiting.free_port())
"""


def test_a_free_port_is_given_to_one_process_alone():
    with socket.create_server(("127.0.0.1", 0)) as found:
        unclaimed = found.getsockname()[1]
    ports = [str(unclaimed), str(free_port())]  # the last one is drawn first
    drawn = subprocess.run([sys.executable, "-c", CLAIMING, TESTS, *ports], stdout=subprocess.PIPE, check=True)
    assert int(drawn.stdout) == unclaimed


LOSING = """
import os, signal, sys
import pytest
from helpers.servers import Server

class WebServer(Server):
    def start(self):
        self.spawn(sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", str(self.port))
        self.wait_until_ready()

@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = WebServer(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()

def test_that_loses_it(server, tmp_path):
    (tmp_path / "service.log").write_text("what the service says")
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    assert server.answers()

def test_that_comes_next(server):
    assert server.answers()
"""


def test_a_failure_says_which_server_has_ended_and_the_next_test_has_it_again(tmp_path):
    file = tmp_path / "test_losing.py"
    file.write_text(LOSING)
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-c", "/dev/null", "-p", "no:cacheprovider", file]
    environment = os.environ | {"PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    section = done.stdout.partition("a server that has ended")[2]
    assert re.search(r"WebServer at port \d+ has ended with status -9", section)
    assert "Serving HTTP on 127.0.0.1" in section
    assert "what the service says" in section


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
