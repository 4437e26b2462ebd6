"""What the cloud makes in this machine: `python3 traces.py` prints what there is of it before it is brought up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CLOUD = Path(os.environ["OAT_CLOUD"])


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


def traces() -> dict[str, list[str]]:
    """Devices, addresses, mounts, namespaces and loop devices of this machine; processes, those of the cloud."""

    def lines(*command: str) -> list[str]:
        return sorted(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())

    devices = json.loads(
        subprocess.run(["ip", "-j", "address"], capture_output=True, text=True, check=True).stdout
    )
    addresses = {f"{device['ifname']} {info['local']}" for device in devices for info in device["addr_info"]}
    return {
        "devices": sorted(device["ifname"] for device in devices),
        "addresses": sorted(addresses),
        "mounts": sorted(Path("/proc/self/mounts").read_text().splitlines()),
        "namespaces": lines("ip", "netns"),
        "loop devices": lines("losetup", "--list", "--noheadings"),
        "processes": sorted(processes().values()),
    }


if __name__ == "__main__":
    json.dump(traces(), sys.stdout, indent=1)
