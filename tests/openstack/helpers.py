"""Stacks, the application's API, and a look from inside a server, for the tests."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from openstack.connection import Connection
from openstack.exceptions import NotFoundException

import openstack

CHECKOUT = Path(__file__).parents[2]
TEMPLATES = CHECKOUT / "deploy/openstack"
CLOUD = Path(os.environ["OAT_CLOUD"])


def until(what: str, condition: Callable[[], Any], seconds: float = 1200, pause: float = 2) -> Any:
    """Waits until something holds, and returns it.

    Raises:
        TimeoutError: it does not in that time.
    """
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(pause)
    return result


def connect(**auth: str) -> Connection:
    """A connection as anyone, whatever OS_CLOUD says."""
    return openstack.connect(load_yaml_config=False, load_envvars=False, auth=auth, region_name="RegionOne")


def driver(command: str) -> None:
    """Runs a command of the cloud's driver: up, down."""
    done = subprocess.run(
        ["/usr/bin/python3", "-m", "cloud", command],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


class StackError(Exception):
    """A stack that could not be made or changed; Heat's reason."""


class Stack:
    """A stack of Heat."""

    def __init__(self, user: Connection, name: str) -> None:
        self.user, self.name = user, name

    def create(self, template: Path, *environments: Path, wait: bool = True, **parameters: Any) -> None:
        """Creates it, or raises StackError."""
        files = [str(file) for file in environments]
        self.user.create_stack(
            self.name,
            template_file=str(template),
            environment_files=files,
            wait=wait,
            timeout=1800,
            rollback=False,
            **parameters,
        )
        if wait:
            self._expect("CREATE_COMPLETE")

    def update(self, template: Path, *environments: Path, settle: bool = True, **parameters: Any) -> None:
        """Updates it, or raises StackError; waits for a change that is under way, such as a scaling."""
        if settle:
            self.settle()
        self.user.update_stack(
            self.name,
            template_file=str(template),
            environment_files=[str(file) for file in environments],
            wait=True,
            timeout=1800,
            rollback=False,
            **parameters,
        )
        self._expect("UPDATE_COMPLETE")

    def settle(self) -> str:
        """Waits until nothing of it changes, groups of workers among it; its status."""
        until("the stack's quiet", lambda: not self._changing())
        return str(self.get().status)

    def resources(self) -> list[dict[str, Any]]:
        """Its resources and those of the stacks within it, as Heat has them."""
        stack = self.get()
        url = f"/stacks/{stack.name}/{stack.id}/resources"
        listed: list[dict[str, Any]] = self.user.orchestration.get(url, params={"nested_depth": 3}).json()[
            "resources"
        ]
        return listed

    def _changing(self) -> bool:
        states = [resource["resource_status"] for resource in self.resources()]
        return any("IN_PROGRESS" in state for state in [*states, self.get().status])

    def _expect(self, status: str) -> None:
        stack = self.get()
        if stack.status != status:
            raise StackError(stack.status_reason)

    def delete(self) -> None:
        """Deletes it. Heat empties the container by an image a second, so that is done here, again and again."""
        self.user.delete_stack(self.name)
        until("the stack's end", self._is_gone, pause=1)

    def _is_gone(self) -> bool:
        if not self.get():
            return True
        container, plain = f"{self.name}-images", {"Content-Type": "text/plain"}
        with contextlib.suppress(NotFoundException):  # Heat has deleted the container meanwhile
            if names := [f"{container}/{item.name}" for item in self.user.object_store.objects(container)]:
                self.user.object_store.post("/?bulk-delete", data="\n".join(names), headers=plain)
        return False

    def get(self) -> Any:
        return self.user.get_stack(self.name)

    def outputs(self) -> dict[str, Any]:
        return {output["output_key"]: output["output_value"] for output in self.get().outputs}

    def check(self) -> None:
        """Has Heat compare its records with what is there."""
        self.user.orchestration.check_stack(self.get())
        until("the check", lambda: "IN_PROGRESS" not in self.get().status)

    def servers(self, kind: str = "") -> list[Any]:
        """Its servers; of one kind: `service`, `tracker`, `producer`, `worker` or `gallery`."""
        prefix = f"{self.name}-{kind}" if kind else self.name
        return [server for server in self.user.compute.servers() if server.name.startswith(prefix)]


# Of tasks that keep a worker busy: for this c nearly all of a set's points are followed to the last iteration.
SLOW = ("--width", "512", "--height", "512", "--cx", "0.25", "--cy", "0", "--iterations", "4000")


class Application:
    """oat, asked by its API from outside."""

    def __init__(self, gallery: str, token: str) -> None:
        self.gallery, self.token = gallery, token

    def answers(self) -> bool:
        """Whether the gallery answers, and has its connections."""
        try:
            with urllib.request.urlopen(self.gallery + "readyz", timeout=5):
                return True
        except OSError:
            return False

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command `oat` of the gold image, outside any server."""
        environment = {"OAT_API_URL": self.gallery, "OAT_API_TOKEN": self.token, "PATH": "/usr/bin:/bin"}
        command = ["/usr/sbin/chroot", str(CLOUD / "images/oat"), "/opt/oat/bin/oat", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)

    def create(self, count: int, *options: str) -> set[str]:
        """Has this many tasks made, at most 1000 at once; their UUIDs."""
        uuids: set[str] = set()
        while len(uuids) < count:
            made = self.command("create", "--count", str(min(1000, count - len(uuids))), *options, "--json")
            assert made.returncode == 0, made.stderr
            uuids |= {fractal["uuid"] for fractal in json.loads(made.stdout)}
        return uuids

    def has_done(self, uuids: set[str]) -> bool:
        """Whether all of these are done; fails if one is neither done nor waiting."""
        page = self.ask("fractals?limit=100&status=waiting")
        if any(fractal["uuid"] in uuids for fractal in page["fractals"]):
            return False
        state = {fractal["uuid"]: fractal["status"] for fractal in self.fractals()}
        assert {state.get(uuid) for uuid in uuids} <= {"done", "waiting"}
        return all(state[uuid] == "done" for uuid in uuids)

    def audit(self) -> None:
        """Fails unless records, images and queues add up."""
        done = self.command("audit", "--json")
        assert done.returncode == 0, done.stdout + done.stderr

    def fractals(self) -> list[dict[str, Any]]:
        done = self.command("list", "--limit", "100000", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def ask(self, path: str) -> Any:
        """What the API answers; the command takes seconds where others want the cores too."""
        request = urllib.request.Request(
            f"{self.gallery}v1/{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def status(self) -> dict[str, Any]:
        """Its statistics."""
        answer: dict[str, Any] = self.ask("statistics")
        return answer


def inside(server: Any, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command of this machine in a server's network, which is where its packets come from."""
    init = str(init_of(server))
    return subprocess.run(
        ["nsenter", "-t", init, "-n", *command], capture_output=True, text=True, timeout=60, check=False
    )


def reached(server: Any, addresses: Iterable[str], ports: Iterable[int]) -> set[tuple[str, int]]:
    """To which of these addresses and ports a server gets a connection (a refusal comes from there as well)."""
    script = f"""
import json, socket
from concurrent.futures import ThreadPoolExecutor
def reaches(target):
    try:
        socket.create_connection(tuple(target), timeout=10).close()
    except ConnectionRefusedError:
        pass
    except OSError:
        return False
    return True
targets = {[[address, port] for address in addresses for port in ports]!r}
with ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps([target for target, found in zip(targets, pool.map(reaches, targets)) if found]))
"""
    done = inside(server, ["python3", "-c", script])
    assert done.returncode == 0, done.stderr
    return {(address, port) for address, port in json.loads(done.stdout)}


def init_of(server: Any) -> int:
    """The process id, on this machine, of a server's init."""
    uri = f"lxc:///system?socket={CLOUD}/run/libvirt/libvirt-sock"
    controller = subprocess.run(
        ["virsh", "-c", uri, "domid", server.id], capture_output=True, text=True, check=True
    )
    pid = controller.stdout.strip()
    return int((Path("/proc") / pid / "task" / pid / "children").read_text().split()[0])


def post(url: str) -> None:
    """POSTs to a webhook."""
    request = urllib.request.Request(url, data=b"", method="POST")
    with urllib.request.urlopen(request, timeout=60):
        pass
