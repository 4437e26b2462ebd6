"""The lab: private servers and services for a check, and instruments to look at them.

A check starts the services of this tree as processes, forces the moment at which the fault does its harm, and
raises `Harm` with what it has seen. It waits for conditions, never for a time.
"""

import ctypes
import json
import os
import struct
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import amqp

from helpers.guard import temporary_folder
from helpers.proxy import Proxy
from helpers.servers import MariaDB, RabbitMQ
from helpers.system import System
from helpers.waiting import wait_until

TIMEOUT = 90.0
"""Seconds until a condition has to be true that is true at once on a machine with nothing else to do."""

GRACE = 10.0
"""Seconds to wait for what a half mended tree never does."""

MOMENT = 2.0
"""Seconds to wait for what usually comes in a moment; where it does not, a check looks closer."""

NO_NET = {"OAT_LEASE": "86400", "OAT_RESEND_AFTER": "86400"}
"""Settings that take the safety net away: for a day, nobody publishes again what was lost."""


class Harm(Exception):  # noqa: N818 (what a check is looking for, and no error of it)
    """The harm that a fault does, in the words of its lesson: what was lost, and how many."""


class Crash(Exception):  # noqa: N818 (as above)
    """A service has ended by itself, or what a check waited for did not come: nothing can be said."""


class Lab:
    """Servers and services of a check, in a temporary folder; all of them end with it.

    Args:
        broker_url: a RabbitMQ to use instead of a private one; its queues have to be empty.
        database_url: an empty database on MariaDB to use instead of a private server.
    """

    def __init__(self, broker_url: str | None = None, database_url: str | None = None) -> None:
        self._urls: dict[type[Any], str | None] = {RabbitMQ: broker_url, MariaDB: database_url}
        self._booting: list[RabbitMQ] = []
        self._stack = ExitStack()
        self.folder = self._stack.enter_context(temporary_folder())

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def system(self, rabbitmq: bool = False, mariadb: bool = False, **settings: str) -> System:
        """Return a system of services, none running, on the embedded broker and SQLite or on these servers.

        RabbitMQ boots meanwhile, for seconds: what follows goes on beside it, up to `until_ready`.
        """
        folder = self.folder / "system"
        folder.mkdir()
        broker_url = self._server(RabbitMQ, lambda server: server.url) if rabbitmq else None
        database_url = self._server(MariaDB, lambda server: server.database("exercise")) if mariadb else None
        return self._stack.enter_context(System(folder, broker_url, database_url, **NO_NET | settings))

    def _server(self, kind: type[Any], url_of: Callable[[Any], str]) -> str:
        if given := self._urls[kind]:
            return given
        folder = self.folder / kind.__name__
        folder.mkdir()
        server = kind(folder)
        self._stack.callback(server.discard)
        if isinstance(server, RabbitMQ):
            server.launch()
            self._booting.append(server)
        else:
            server.start()
        return url_of(server)

    def until_ready(self) -> None:
        """Wait until RabbitMQ has booted."""
        while self._booting:
            self._booting.pop().wait_until_ready()

    def proxy(self, system: System) -> Proxy:
        """Return a proxy to RabbitMQ; services that are started from now on see it through that alone.

        It holds them until its `release`: so they are started while RabbitMQ boots, and need not be waited for.
        """
        address = str(system.broker_url)
        port = int(address.rpartition(":")[2].partition("/")[0])
        proxy = Proxy(port, held=True)
        self._stack.callback(proxy.close)
        held = f"{address.replace(f':{port}/', f':{proxy.port}/')}?connection_timeout={TIMEOUT:.0f}"
        system.environment["OAT_BROKER_URL"] = held
        return proxy


def until(system: System, condition: Callable[[], Any], what: str, timeout: float = TIMEOUT) -> Any:
    """Wait until `condition` is true, and return its value.

    Raises:
        Crash: it does not come true, or a service has ended with an error.
    """

    def checked() -> Any:
        for process in system.processes:
            if process.poll() not in (None, 0):
                tail = process.log.read_text()[-1500:]
                raise Crash(f"{process.log.stem.rpartition('-')[0]} has ended by itself:\n{tail}")
        return condition()

    try:
        return wait_until(checked, what, timeout)
    except TimeoutError as error:
        tails = "".join(
            f"\n--- {process.log.name}\n{process.log.read_text()[-800:]}" for process in system.processes
        )
        raise Crash(f"{error}{tails}") from None


def comes(condition: Callable[[], Any], timeout: float = GRACE, step: float = 0.05) -> bool:
    """Tell whether `condition` comes true in time; it is asked every `step` seconds."""
    try:
        return bool(wait_until(condition, "it", timeout, step))
    except TimeoutError:
        return False


def until_logged(system: System, process: Any, text: str, count: int = 1) -> None:
    """Wait until `text` is in the log of `process`, `count` times at least."""
    until(system, lambda: process.log.read_text().count(text) >= count, f"“{text}” in the log")


def start(system: System, command: str, *arguments: object, **variables: str) -> Any:
    """Start a service with `variables` of its own."""
    before, system.environment = system.environment, system.environment | variables
    try:
        return system.start(command, *arguments)
    finally:
        system.environment = before


def kill_consumer(system: System, process: Any, queue: str) -> None:
    """Kill -9, and wait until RabbitMQ has noticed: from then on, what was unacknowledged is in `queue` again."""
    system.kill(process)
    until_no_consumer(system, queue)


def until_no_consumer(system: System, queue: str) -> None:
    """Wait until RabbitMQ has noticed the end of the consumer, and returned to `queue` what was unacknowledged."""
    wait_until(lambda: consumers(system, queue) == 0, f"the end of the consumer of {queue}", TIMEOUT)


def consumers(system: System, queue: str) -> int:
    """Return how many consumers `queue` has; none, where nobody has declared it yet."""
    with system.amqp() as connection, suppress(amqp.NotFound):
        return int(connection.channel().queue_declare(queue, passive=True).consumer_count)
    return 0


def recorded(system: System) -> set[str]:
    """Return the UUIDs of all records."""
    return {record["uuid"] for record in system.records()}


def message_files(system: System, queue: str) -> list[Path]:
    """Return the files of a queue of the embedded broker, the first message first."""
    return sorted(system.broker_folder.glob(f"{queue}/[!.]*.json"))


def messages(system: System, queue: str) -> list[str]:
    """Return the bodies in a queue of the embedded broker."""
    found = [each for file in message_files(system, queue) for each in json.loads(file.read_text())]
    encoded = [each["properties"].get("body_encoding") == "base64" for each in found]
    return [
        b64decode(each["body"]).decode() if base64 else each["body"]
        for each, base64 in zip(found, encoded, strict=True)
    ]


def queued(system: System, queue: str = "tasks") -> list[str]:
    """Return the UUIDs of the messages in a queue of the embedded broker, one for each message."""
    return [json.loads(body)["uuid"] for body in messages(system, queue)]


def images(system: System) -> dict[str, bytes]:
    """Return the images by the UUIDs of their tasks."""
    return {path.stem: path.read_bytes() for path in system.images.glob("[!.]*.png")}


class Detour:
    """A way of its own to the embedded broker for one process, which can be cut: a symbolic link."""

    def __init__(self, system: System) -> None:
        self._link = system.folder / "detour"
        self._broker = system.broker_folder
        self._broker.mkdir(parents=True, exist_ok=True)
        self.url = f"filesystem://{self._link}"
        self.mend()

    def cut(self) -> None:
        """Have the link lead nowhere."""
        self._point_to(self._broker.with_name("nowhere"))

    def mend(self) -> None:
        """Have it lead to the broker."""
        self._point_to(self._broker)

    def hold(self, system: System, producer: Any) -> set[str]:
        """Cut `producer` off when it has recorded a set and not pushed it; return the UUIDs of that set.

        Where the cut meets it while it pushes, some of the set are out: then it is tried again with the next one.
        """
        for _ in range(10):
            log = producer.log.read_text()
            until_logged(system, producer, "sleeping for", log.count("sleeping for") + 1)
            self.cut()
            until_logged(system, producer, "lost the broker", log.count("lost the broker") + 1)
            held: set[str] = system.unpublished()
            if held.isdisjoint(queued(system)):
                return held
            self.mend()
            until(system, lambda: system.outbox() == 0, "the tasks, pushed")
        raise Crash("the producer was cut off ten times while it pushed")

    def _point_to(self, target: Path) -> None:
        new = self._link.with_name(uuid4().hex)
        new.symlink_to(target)
        new.replace(self._link)


IN_MODIFY, IN_MOVED_TO = 0x2, 0x80
"""Events of inotify(7) in a folder: a file was written to; a file got its name by a rename."""


@contextmanager
def watch(folder: Path, event: int) -> Iterator[Callable[[], list[str]]]:
    """Watch `folder`; what is yielded returns the names of files in it to which `event` has happened, in order."""
    libc = ctypes.CDLL(None, use_errno=True)
    queue = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if queue < 0 or libc.inotify_add_watch(queue, os.fsencode(folder), event) < 0:
        raise OSError(ctypes.get_errno(), "inotify")
    names: list[str] = []

    def read() -> list[str]:
        with suppress(BlockingIOError):
            while events := os.read(queue, 65536):
                while events:
                    end = 16 + struct.unpack_from("iIII", events)[3]
                    names.append(events[16:end].rstrip(b"\0").decode())
                    events = events[end:]
        return names

    try:
        yield read
    finally:
        os.close(queue)
