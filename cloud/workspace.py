"""What the cloud has in this machine beside processes (devices, namespaces, mounts), and its users' files."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

from cloud.processes import Supervisor
from cloud.progress import CloudError, wait_for
from cloud.service import succeeds
from cloud.services import libvirt, openvswitch
from cloud.settings import GATEWAY, REGION, Cloud

_NETNS = "/run/netns"
_SHUTDOWN_SECONDS = 20  # a server's MariaDB is stopped within a few


def write_clients(cloud: Cloud) -> None:
    """Writes clouds.yaml for the user tutorial, one for admin, and for each a file to source."""
    keys = f"""\
# Where Swift speaks S3, and the keys of a user who may use the project's objects and nothing else: for servers.
export AWS_ENDPOINT_URL={cloud.url("swift", GATEWAY)} AWS_ACCESS_KEY_ID={cloud.passwords["objects_access_key"]}
export AWS_SECRET_ACCESS_KEY={cloud.passwords["objects_secret_key"]}
"""
    tutorial = {user: _entry(cloud, user, "tutorial") for user in ("tutorial", "tutorial-objects")}
    for user, entries, file, more in (
        ("tutorial", tutorial, "clouds.yaml", keys),
        ("admin", {"admin": _entry(cloud, "admin", "admin")}, "admin-clouds.yaml", ""),
    ):
        path = cloud.folder / file
        _write_private(path, json.dumps({"clouds": entries}, indent=1) + "\n")  # JSON is YAML
        _write_private(
            cloud.folder / f"{user}-openrc",
            f"""\
# Source this: the command `openstack` then speaks to this cloud as {user}.
unset $(env | sed -n 's/^\\(OS_[A-Z_]*\\)=.*/\\1/p')
export OS_CLIENT_CONFIG_FILE={shlex.quote(str(path))} OS_CLOUD={user}
case ":$PATH:" in *:{cloud.bin}:*) ;; *) PATH={cloud.bin}:$PATH ;; esac
{more}""",
        )


def _entry(cloud: Cloud, user: str, project: str) -> dict[str, object]:
    return {
        "auth": {
            "auth_url": f"{cloud.url('keystone', GATEWAY)}/v3",
            "username": user,
            "password": cloud.passwords[user],
            "project_name": project,
            "user_domain_id": "default",
            "project_domain_id": "default",
        },
        "region_name": REGION,
        "identity_api_version": 3,
    }


def _write_private(file: Path, text: str) -> None:
    """Writes a file that holds a password: for root, or for who called sudo."""
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(text)
    if "SUDO_UID" in os.environ:
        os.chown(file, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))


def clear_remains(cloud: Cloud, supervisor: Supervisor) -> None:
    """Takes back what dead processes could not take back themselves: after kill -9, or a power cut."""
    if not supervisor.alive("libvirtd"):
        kill_containers(cloud)
    if not supervisor.alive("neutron-ovn-metadata-agent"):
        delete_namespaces(cloud)
    if not supervisor.alive("ovs-vswitchd"):
        openvswitch.remove_devices(cloud)


def remember_mounts(cloud: Cloud) -> None:
    """Notes what the cloud will change among this machine's mounts, once, before anything runs."""
    note = cloud.run / "mounts.json"
    if not note.exists():
        mounts = {line.split()[1]: line.split() for line in Path("/proc/self/mounts").read_text().splitlines()}
        # `ip netns` mounts its folder onto itself; a container's systemd changes the options of cgroup2, for all.
        cgroup2 = next((fields for fields in mounts.values() if fields[2] == "cgroup2"), None)
        note.write_text(
            json.dumps({"netns": _NETNS in mounts, "cgroup2": [cgroup2[1], cgroup2[3]] if cgroup2 else None})
        )


def restore_mounts(cloud: Cloud) -> None:
    """Takes these changes back, when nothing runs any more."""
    note = cloud.run / "mounts.json"
    if note.exists():
        before = json.loads(note.read_text())
        if not before["netns"] and not list(Path(_NETNS).glob("*")):
            succeeds(cloud, "umount", _NETNS)
        if before["cgroup2"]:
            path, options = before["cgroup2"]
            succeeds(cloud, "mount", "-t", "cgroup2", "-o", f"remount,{options}", "none", path)
        note.unlink()


def shut_down_servers(cloud: Cloud) -> None:
    """Shuts the running servers down as when a machine is switched off: they get some seconds, then they end."""
    running = _running_servers(cloud)
    for name in running:
        succeeds(cloud, "virsh", "-c", libvirt.uri(cloud), "shutdown", name)
    if running:
        with contextlib.suppress(CloudError):
            wait_for("the servers' end", lambda: not _running_servers(cloud), _SHUTDOWN_SECONDS)
    for name in _running_servers(cloud):
        succeeds(cloud, "virsh", "-c", libvirt.uri(cloud), "destroy", name)


def _running_servers(cloud: Cloud) -> list[str]:
    command = ["virsh", "-c", libvirt.uri(cloud), "list", "--name"]
    listing = subprocess.run(
        command, capture_output=True, text=True, timeout=30, env=cloud.environment, check=False
    )
    return listing.stdout.split()


def kill_containers(cloud: Cloud) -> None:
    """Ends containers that libvirtd, or even their controllers, have left behind, and detaches their disks.

    A container goes on when the controller that libvirt gives it is killed. What is ours is known by the disk it
    has as its root: a loop device on a file in the folder of this cloud.
    """
    disks = _loop_devices(cloud)
    deadline = time.monotonic() + _SHUTDOWN_SECONDS
    while (left := _rooted_on(disks)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    for device in disks:
        succeeds(cloud, "losetup", "--detach", device)
    for file in (cloud.state / "libvirt/run/lxc").glob("*.*"):
        if file.suffix in {".pid", ".xml"}:  # a new libvirtd would take others' processes of these ids for its own
            file.unlink()


def _loop_devices(cloud: Cloud) -> set[str]:
    command = ["losetup", "--list", "--json", "--output", "NAME,BACK-FILE"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    devices = json.loads(listing or '{"loopdevices": []}')["loopdevices"]
    return {device["name"] for device in devices if str(device["back-file"]).startswith(f"{cloud.state}/")}


def _rooted_on(devices: set[str]) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            mounts = (entry / "mountinfo").read_text().splitlines() if entry.name.isdecimal() else []
            for fields in map(str.split, mounts):
                if fields[4] == "/" and fields[fields.index("-") + 2] in devices:
                    found.add(int(entry.name))
    return found


def delete_namespaces(cloud: Cloud) -> None:
    """Deletes the namespaces of the metadata agent, one a network, named after it; haproxy in them ends before."""
    for configuration in (cloud.state / "neutron/ovn-metadata-proxy").glob("*.conf"):
        name = f"ovnmeta-{configuration.stem}"
        if (Path(_NETNS) / name).exists():
            succeeds(cloud, "ip", "netns", "delete", name)
