"""The systemd units, by systemd-analyze. `make test-vagrant` runs them for real."""

import shutil
import socket

import pytest

from helpers.processes import terminate
from helpers.system import System
from helpers.validators import DEPLOY, call
from helpers.waiting import TIMEOUT

UNITS = ["oat-producer.service", "oat-tracker.service", "oat-worker@1.service", "oat-web.service"]


@pytest.fixture
def units(tmp_path):
    """A root file system with the units, and with programs and settings where they expect them."""
    folder = tmp_path / "etc/systemd/system"
    shutil.copytree(DEPLOY / "systemd", folder)
    shutil.copytree("/usr/lib/systemd/system", tmp_path / "usr/lib/systemd/system", symlinks=True)
    for command in ("oat", "oat-producer", "oat-tracker", "oat-worker"):
        program = tmp_path / "opt/oat/bin" / command
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("")
        program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_valid_and_confined(units, unit):
    done = call("systemd-analyze", "verify", f"--root={units}", unit)
    assert (done.returncode, done.stderr) == (0, "")
    done = call("systemd-analyze", "security", "--offline=true", "--threshold=20", f"--root={units}", unit)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("unit", UNITS)
def test_units_notify_systemd_when_ready(units, unit, tmp_path):
    lines = (units / "etc/systemd/system" / unit.replace("@1", "@")).read_text().splitlines()
    assert "Type=notify" in lines
    [command] = [line.partition("=/opt/oat/bin/")[2] for line in lines if line.startswith("ExecStart=")]
    program, *arguments = command.replace(" $OAT_WORKER_OPTIONS", "").split()
    with System(tmp_path, OAT_PORT="0") as system, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(TIMEOUT)
        system.environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        process = system.start(program, *arguments)
        assert manager.recv(100) == b"READY=1"
        terminate(process)


def test_a_wrong_unit_would_be_noticed(units):
    with (units / "etc/systemd/system/oat-web.service").open("a") as file:
        file.write("Restarts=always\n")
    assert "Restarts" in call("systemd-analyze", "verify", f"--root={units}", "oat-web.service").stderr
