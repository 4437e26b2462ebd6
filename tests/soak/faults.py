"""The faults of a soak: each harms a system for some seconds, and returns when the harm is over."""

import contextlib
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers import disks
from helpers.proxy import DOWN, UP, Proxy
from helpers.servers import HEARTBEAT, RabbitMQ, Server
from helpers.system import System

DISK_SIZE, SPARE = 4096, 1
"""MiB of a disk, which takes as much memory as is written to it, and MiB that are left of it when it is harmed."""

NO_TASK = b"no task at all"


@dataclass
class Site:
    """A system that is harmed, and what it stands on."""

    name: str
    system: System
    servers: list[Server] = field(default_factory=list)
    proxies: dict[str, Proxy] = field(default_factory=dict)
    disks: list[Path] = field(default_factory=list)
    mortal: dict[str, Any] = field(default_factory=dict)
    """The services that are killed and stopped."""

    def start(self, *commands: str) -> None:
        """Start mortal services."""
        self.mortal |= self.system.start_services(*commands, tasks=10, pause=0.5)

    def done(self) -> int:
        """Return how many records are done."""
        return self.system.counts().get("done", 0)

    @property
    def rabbitmq(self) -> RabbitMQ:
        """The broker that it has."""
        return next(server for server in self.servers if isinstance(server, RabbitMQ))

    def heal(self) -> None:
        """Let all connections pass."""
        for proxy in self.proxies.values():
            proxy.cut()
            proxy.flow()


Fault = Callable[[Site, random.Random], None]


def kill_a_service(site: Site, rng: random.Random) -> None:
    """Kill -9."""
    command = rng.choice(list(site.mortal))
    site.system.kill(site.mortal[command])
    site.start(command)


def stop_a_service(site: Site, rng: random.Random) -> None:
    """SIGTERM."""
    command = rng.choice(list(site.mortal))
    site.system.stop(site.mortal[command])
    site.start(command)


def kill_a_server(site: Site, rng: random.Random) -> None:
    """Kill -9, and start it at once."""
    server = rng.choice(site.servers)
    server.stop(signal.SIGKILL)
    server.start()


def stop_a_server(site: Site, rng: random.Random) -> None:
    """SIGTERM, and start it after a while."""
    server = rng.choice(site.servers)
    server.stop()
    time.sleep(rng.uniform(0, 5))
    server.start()


def forget_the_queues(site: Site, _rng: random.Random) -> None:
    """A broker that is reset."""
    site.rabbitmq.stop(signal.SIGKILL)
    site.rabbitmq.forget()
    site.rabbitmq.start()


def cut(site: Site, rng: random.Random) -> None:
    """Reset all connections to a server."""
    rng.choice(list(site.proxies.values())).cut()


def silence(site: Site, rng: random.Random) -> None:
    """Swallow what is sent, in one direction or both, for up to three heartbeats."""
    proxy = rng.choice(list(site.proxies.values()))
    proxy.silence(*rng.choice([(UP, DOWN), (UP,), (DOWN,)]))
    time.sleep(rng.uniform(0, 3 * HEARTBEAT))
    proxy.flow()


def stall(site: Site, rng: random.Random) -> None:
    """Hold back what is sent, for up to three heartbeats."""
    proxy = rng.choice(list(site.proxies.values()))
    proxy.stall(*rng.choice([(UP, DOWN), (UP,), (DOWN,)]))
    time.sleep(rng.uniform(0, 3 * HEARTBEAT))
    proxy.flow()


def slow_down(site: Site, rng: random.Random) -> None:
    """Hold back each piece for some milliseconds."""
    proxy = rng.choice(list(site.proxies.values()))
    proxy.delay = rng.uniform(0.001, 0.02)
    time.sleep(rng.uniform(1, 5))
    proxy.delay = 0.0


def delete_in_use(site: Site, rng: random.Random) -> None:
    """Delete a queue, an exchange or a binding."""
    name = rng.choice(["tasks", "results"])
    with site.system.amqp() as connection:
        channel = connection.channel()
        match rng.choice(["queue", "exchange", "binding"]):
            case "queue":
                channel.queue_delete(name)
            case "exchange":
                channel.exchange_delete(name)
            case "binding":
                channel.queue_unbind(name, name, name)


def fill_the_queues(site: Site, rng: random.Random) -> None:
    """A broker that nacks."""
    site.rabbitmq.control(
        "set_policy", "full", "^(tasks|results)$", '{"max-length": 5, "overflow": "reject-publish"}'
    )
    time.sleep(rng.uniform(0, 3))
    site.rabbitmq.control("clear_policy", "full")


def fill_the_memory(site: Site, rng: random.Random) -> None:
    """A broker that reads nothing."""
    site.rabbitmq.control("set_vm_memory_high_watermark", "0.00001")
    time.sleep(rng.uniform(0, 2 * HEARTBEAT))
    site.rabbitmq.control("set_vm_memory_high_watermark", "0.4")


def duplicate(site: Site, rng: random.Random) -> None:
    """Deliver what waits in a queue twice."""
    with contextlib.suppress(FileNotFoundError):  # somebody has taken it meanwhile
        site.system.duplicate(rng.choice(["tasks", "results"]))


def send_nonsense(site: Site, rng: random.Random) -> None:
    """Messages that are no tasks."""
    site.system.push("tasks", [NO_TASK] * rng.randint(1, 9))


def lose_messages(site: Site, _rng: random.Random) -> None:
    """An embedded broker whose queues are emptied."""
    for path in site.system.broker_folder.glob("[tr]*/*.json"):
        path.unlink(missing_ok=True)


def fill_a_disk(site: Site, rng: random.Random) -> None:
    """A disk without a free byte."""
    disk = rng.choice(site.disks)
    disks.resize(disk, disks.used(disk) + SPARE)
    with disks.filled(disk):
        time.sleep(rng.uniform(0, 4))
    disks.resize(disk, DISK_SIZE)


def make_a_disk_read_only(site: Site, rng: random.Random) -> None:
    """A disk that cannot be written: that of the images, where files are open only for moments."""
    with disks.read_only(site.system.images):
        time.sleep(rng.uniform(0, 4))


EVERYWHERE: tuple[Fault, ...] = (kill_a_service, kill_a_service, stop_a_service, duplicate, send_nonsense)

ON_SERVERS: tuple[Fault, ...] = (
    kill_a_server, stop_a_server, forget_the_queues, cut, cut, silence, stall, slow_down, delete_in_use,
    fill_the_queues, fill_the_memory,
)  # fmt: skip

ON_DISKS: tuple[Fault, ...] = (fill_a_disk, make_a_disk_read_only)


def faults_of(site: Site) -> tuple[Fault, ...]:
    """Return the faults that can befall `site`."""
    return EVERYWHERE + (ON_SERVERS if site.servers else (lose_messages,)) + (ON_DISKS if site.disks else ())
