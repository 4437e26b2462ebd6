"""What the driver expects of each file in `services`, and what these files share."""

from __future__ import annotations

import os
import subprocess
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from cloud.processes import Process, tail
from cloud.progress import CloudError
from cloud.settings import GATEWAY, LOOPBACK, PORTS, Cloud


class Service(Protocol):
    """A service is a module with these."""

    DATABASES: tuple[str, ...]  # what it keeps in MariaDB

    def configure(self, cloud: Cloud) -> None:
        """Writes its configuration."""

    def migrations(self, cloud: Cloud) -> list[list[str]]:
        """The commands that make or update its tables, in order."""

    def processes(self, cloud: Cloud) -> list[Process]:
        """What runs of it."""


def api(
    cloud: Cloud,
    name: str,
    module: str,
    *arguments: str,
    environment: dict[str, str] | None = None,
    path: str = "/",
    public: bool = True,
) -> Process:
    """An API: a WSGI application of OpenStack in a process of its own, served by gunicorn.

    Args:
        cloud: whose it is.
        name: its name in PORTS, and the process's.
        module: where the application is.
        arguments: its command line.
        environment: more variables.
        path: what answers once it is ready.
        public: whether users and servers call it, not just the other services.
    """
    addresses = [LOOPBACK, GATEWAY] if public else [LOOPBACK]
    binds = [f"{address}:{PORTS[name]}" for address in addresses]
    return Process(
        name,
        [
            f"{cloud.venv}/bin/python",
            str(Path(__file__).with_name("wsgi.py")),
            name,
            module,
            *binds,
            "--",
            *arguments,
        ],
        environment=environment or {},
        ready=lambda: answers(cloud.url(name) + path),
    )


def answers(url: str) -> bool:
    """Whether a server answers with less than an error of its own."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code < HTTPStatus.INTERNAL_SERVER_ERROR
    except OSError:
        return False


def run(cloud: Cloud, command: list[str], log: str, *, inherit: bool = False, **environment: str) -> str:
    """Runs a command to its end, its errors into a log; what it printed.

    Args:
        cloud: whose command it is.
        command: with its arguments.
        log: the name of the log.
        inherit: whether it gets the variables of who called the driver: a proxy or a mirror may be among them.
        environment: more variables.

    Raises:
        CloudError: it failed; the message has the end of the log.
    """
    file = cloud.log / f"{log}.log"
    with file.open("ab") as output:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            env=(dict(os.environ) if inherit else cloud.environment) | environment,
            check=False,
        )
        output.write(done.stdout)
    if done.returncode:
        raise CloudError(f"{' '.join(command[:3])}… failed; the end of {file}:\n{tail(file)}")
    return done.stdout.decode()


def python(cloud: Cloud, module: str, *arguments: str) -> None:
    """Runs a module of this driver that needs openstacksdk, in the virtual environment."""
    command = [f"{cloud.venv}/bin/python", "-m", module, *arguments]
    checkout = str(Path(__file__).parents[1])
    run(cloud, command, module.replace(".", "-"), PYTHONPATH=checkout, OAT_CLOUD=str(cloud.folder))


def succeeds(cloud: Cloud, *command: str) -> bool:
    """Whether a command is there, and ends with 0."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=cloud.environment,
            timeout=20,
            check=False,
        )
    except (subprocess.TimeoutExpired, FileNotFoundError):
        return False
    return done.returncode == 0
