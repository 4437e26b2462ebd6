"""A network of hosts on this machine: each a network namespace, with a cable to one switch."""

import contextlib
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

PREFIX = f"oat{os.getpid()}"


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=check)


@dataclass(frozen=True)
class Host:
    """A namespace with an address on the switch."""

    namespace: str
    address: str

    def inside(self, *command):
        """Return the words of a command that runs on this host."""
        return ["ip", "netns", "exec", self.namespace, *map(str, command)]


class Network:
    """Hosts 10.99.0.1, 10.99.0.2, … on a switch.

    Args:
        count: how many hosts.
        name: what they resolve to the addresses of the first three of them, as a DNS name of a cluster would.
    """

    def __init__(self, count, name):
        self.hosts = [Host(f"{PREFIX}-{n}", f"10.99.0.{n}") for n in range(1, count + 1)]
        self.switch = f"{PREFIX}-switch"
        self._names = "127.0.0.1 localhost\n" + "".join(f"{host.address} {name}\n" for host in self.hosts[:3])

    def __enter__(self):
        ip("netns", "add", self.switch)
        ip("-n", self.switch, "link", "add", "switch", "type", "bridge")
        ip("-n", self.switch, "link", "set", "switch", "up")
        for number, host in enumerate(self.hosts, 1):
            ip("netns", "add", host.namespace)
            ip(
                "-n",
                host.namespace,
                "link",
                "add",
                "eth0",
                "type",
                "veth",
                "peer",
                f"port{number}",
                "netns",
                self.switch,
            )
            ip("-n", self.switch, "link", "set", f"port{number}", "master", "switch", "up")
            for device in ("lo", "eth0"):
                ip("-n", host.namespace, "link", "set", device, "up")
            ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
            folder = Path("/etc/netns", host.namespace)
            folder.mkdir(parents=True)
            (folder / "hosts").write_text(self._names)
        return self

    def __exit__(self, *_):
        for name in (self.switch, *(host.namespace for host in self.hosts)):
            for pid in ip(
                "netns", "pids", name, check=False
            ).stdout.split():  # Erlang's port mapper outlives its nodes
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            ip("netns", "delete", name, check=False)
            shutil.rmtree(Path("/etc/netns", name), ignore_errors=True)

    def unplug(self, host):
        """Cut `host` off from all others."""
        ip("-n", self.switch, "link", "set", f"port{self.hosts.index(host) + 1}", "down")

    def plug_in(self, host):
        """Connect it again."""
        ip("-n", self.switch, "link", "set", f"port{self.hosts.index(host) + 1}", "up")
