"""The cloud in this machine: taken up after kill -9 of everything, gone after `make cloud-down`. Runs last."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from openstack.connection import Connection

from helpers import CHECKOUT, CLOUD, until


def driver(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["/usr/bin/python3", "-m", "cloud", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=600, check=False)


def processes() -> dict[int, str]:
    """All that the cloud has started, the servers' own too, by process id."""
    sessions = {json.loads(file.read_text())["pid"] for file in (CLOUD / "run/processes").glob("*.json")}
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
            command = (entry / "cmdline").read_text().replace("\0", " ")
            marked = f"OAT_CLOUD_PROCESS={CLOUD}".encode() in (entry / "environ").read_bytes().split(b"\0")
            mounts = (entry / "mountinfo").read_text().splitlines()
            contained = any("/dev/loop" in line and " / / " in line for line in mounts)
        except (OSError, ValueError):
            continue
        if session in sessions or marked or contained or command.startswith("/usr/lib/libvirt/libvirt_lxc"):
            found[int(entry.name)] = command
    return found


def traces() -> dict[str, set[str]]:
    """What the cloud makes in this machine."""

    def lines(*command: str) -> set[str]:
        return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())

    devices = json.loads(
        subprocess.run(["ip", "-j", "address"], capture_output=True, text=True, check=True).stdout
    )
    addresses = {f"{device['ifname']} {info['local']}" for device in devices for info in device["addr_info"]}
    return {
        "devices": {device["ifname"] for device in devices},
        "addresses": addresses,
        "mounts": set(Path("/proc/self/mounts").read_text().splitlines()),
        "namespaces": lines("ip", "netns"),
        "loop devices": lines("losetup", "--list", "--noheadings"),
        "processes": set(processes().values()),
    }


def test_it_is_taken_up_after_kill_9_of_everything_and_leaves_nothing(user: Connection) -> None:
    network = user.network.find_network("public")
    image, flavor = user.image.find_image("debian"), user.compute.find_flavor("tiny")
    server = user.compute.create_server(
        name="survivor", image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network.id}]
    )
    server = user.compute.wait_for_server(server, wait=300)

    for pid in processes():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    done = driver("up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert driver("status").returncode == 0
    until("the server", lambda: user.compute.get_server(server.id).power_state == 1)
    until("its system", lambda: "login:" in (user.compute.get_server_console_output(server)["output"] or ""))
    user.compute.delete_server(server)
    user.compute.wait_for_delete(server)

    assert driver("down").returncode == 0
    left = traces()
    assert not left["processes"]
    assert not left["devices"] & {"br-ex", "br-int", "ovs-netdev"}
    assert not [name for name in left["devices"] if name.startswith(("tap", "vnet"))]
    assert not [address for address in left["addresses"] if "172.24.4." in address]
    assert not [name for name in left["namespaces"] if name.startswith("ovnmeta-")]
    assert not [line for kind in ("mounts", "loop devices") for line in left[kind] if str(CLOUD) in line]
    done = driver("up")
    assert done.returncode == 0, done.stdout + done.stderr
