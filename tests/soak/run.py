"""Harms the system with a random fault every few seconds while tasks come all the time: `make soak MINUTES=30`.

Two systems run side by side: one on RabbitMQ and MariaDB, which it reaches through proxies, and one embedded. Each
has services that are killed, and steady ones that are not, whose memory, file descriptors, threads and connections
are measured. At the end all records, images and queues have to add up, and no gauge may have grown in the last
quarter of the time beyond noise (`gauges.ALLOWANCES`).
"""

import argparse
import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from faults import DISK_SIZE, NO_TASK, Site, faults_of
from gauges import Gauges, size_of

from helpers import disks
from helpers.guard import temporary_folder
from helpers.proxy import Proxy
from helpers.servers import MariaDB, RabbitMQ
from helpers.system import System
from helpers.waiting import wait_until

SETTINGS = {"OAT_LEASE": "3", "OAT_RESEND_AFTER": "3"}
"""As in the chaos suite: lost tasks are resent within seconds."""

WAL_SIZE = 4_000_000
"""Bytes after which RabbitMQ begins a new log of messages: by default so many that it would grow for an hour."""

SAMPLE_INTERVAL, REPORT_INTERVAL = 5.0, 30.0
"""Seconds between two samples, and between two lines of progress."""

PAUSE = (1.0, 5.0)
"""Seconds between two faults of one system, drawn from this range."""

RECOVERY_TIMEOUT = 240
"""Seconds after a fault within which more images have to be done."""

console = Console(highlight=False)


class Chaos(threading.Thread):
    """Harms one system again and again until it is stopped, and sees that work goes on after each fault."""

    def __init__(self, site: Site, seed: str) -> None:
        super().__init__(daemon=True, name=site.name)
        self.site = site
        self.rng = random.Random(f"{seed} {site.name}")
        self.faults: Counter[str] = Counter()
        self.stopping = threading.Event()
        self.last = "none"
        """The last fault, which may not be over."""
        self.error: BaseException | None = None

    def run(self) -> None:
        """Harm the system until `stopping` is set."""
        try:
            while not self.stopping.wait(self.rng.uniform(*PAUSE)):
                fault = self.rng.choice(faults_of(self.site))
                name = fault.__name__.replace("_", " ")
                self.faults[name] += 1
                self.last = name
                fault(self.site, self.rng)
                before = self.site.done()
                wait_until(lambda done=before: self.site.done() > done, f"work after: {name}", RECOVERY_TIMEOUT)
        except BaseException as error:
            self.error = error


@contextlib.contextmanager
def on_servers(folder: Path) -> Iterator[Site]:
    """Yield a system on a RabbitMQ and a MariaDB of its own, behind proxies."""
    with contextlib.ExitStack() as stack:
        servers = []
        for kind, options in ((RabbitMQ, (f"raft.wal_max_size_bytes = {WAL_SIZE}",)), (MariaDB, ())):
            own = folder / kind.__name__
            own.mkdir()
            server = kind(own, options=options).start()
            stack.callback(server.stop)
            servers.append(server)
        rabbitmq, mariadb = servers
        system = stack.enter_context(System(folder, rabbitmq.url, mariadb.database("soak"), **SETTINGS))
        proxies = {"broker": Proxy(rabbitmq.port), "database": Proxy(mariadb.port)}
        for proxy in proxies.values():
            stack.callback(proxy.close)
        system.environment |= {
            "OAT_BROKER_URL": system.broker_url.replace(f":{rabbitmq.port}", f":{proxies['broker'].port}"),
            "OAT_DATABASE_URL": system.database_url.replace(f":{mariadb.port}", f":{proxies['database'].port}"),
        }
        yield Site("on servers", system, servers, proxies)


@contextlib.contextmanager
def embedded(folder: Path) -> Iterator[Site]:
    """Yield a system with the embedded broker and database."""
    with System(folder, **SETTINGS) as system:
        yield Site("embedded", system)


def add_disks(site: Site, stack: contextlib.ExitStack) -> None:
    """Mount small disks for the images, and for an embedded broker and database; root alone can."""
    system = site.system
    if os.getuid() != 0:
        console.print("[bold red]LEFT OUT: full and read-only disks, which root alone can mount[/]")
        return
    system.images = system.folder / "images"
    system.environment["OAT_TARGET"] = str(system.images)
    for folder in (system.images, *([] if site.servers else [system.broker_folder.parent])):
        site.disks.append(stack.enter_context(disks.small_disk(folder, DISK_SIZE)))


def start(site: Site) -> dict[str, psutil.Process]:
    """Start all services, and return the steady ones."""
    site.system.produce(20)
    steady = {f"{site.name}, {name[4:]}": service for name, service in site.system.start_services(
        "oat-worker", "oat-tracker").items()}  # fmt: skip
    site.system.gallery()
    steady[f"{site.name}, web"] = site.system.processes[-1]
    site.start("oat-worker", "oat-tracker", "oat-producer")
    return {name: psutil.Process(service.pid) for name, service in steady.items()}


def sample(site: Site, steady: dict[str, psutil.Process], gauges: Gauges) -> None:
    """Add a sample of each gauge of `site`."""
    for name, process in steady.items():
        if name.startswith(site.name):
            gauges.add_process(name, process)
    system, folder = site.system, site.system.folder
    gauges.add(site.name, "queues on the disk, MiB", size_of(
        site.rabbitmq.folder / "mnesia" if site.servers else system.broker_folder) / 2**20)  # fmt: skip
    with contextlib.suppress(Exception):  # its database may be down
        counts = system.counts()
        database = folder / "MariaDB/data" if site.servers else system.broker_folder.parent
        pattern = "**/tutorial_soak/*" if site.servers else "oat.db*"
        size = sum(path.stat().st_size for path in database.glob(pattern))
        gauges.add(site.name, "database, KiB per record", size / 1024 / sum(counts.values()))
        images = sum(1 for _ in os.scandir(system.images))
        gauges.add(site.name, "files beside the images", abs(images - counts.get("done", 0)))


def soak(sites: list[Site], steady: dict[str, psutil.Process], minutes: float, seed: str) -> Gauges:
    """Harm `sites` for so many minutes, and return what was measured.

    Raises:
        RuntimeError: a system has not recovered, or a steady service has ended.
    """
    gauges, chaos = Gauges(), [Chaos(site, seed) for site in sites]
    for each in chaos:
        each.start()
    started = reported = time.monotonic()
    while (now := time.monotonic()) < started + 60 * minutes:
        for each in chaos:
            if each.error is not None:
                raise RuntimeError(f"{each.site.name}, seed {seed}: {each.error}") from each.error
            sample(each.site, steady, gauges)
        if gone := [name for name, process in steady.items() if not is_running(process)]:
            raise RuntimeError(f"ended by itself: {', '.join(gone)}")
        if now > reported + REPORT_INTERVAL:
            reported = now
            report_progress((now - started) / 60, chaos)
        time.sleep(SAMPLE_INTERVAL)
    for each in chaos:
        each.stopping.set()
    for each in chaos:
        each.join()
        if each.error is not None:
            raise RuntimeError(f"{each.site.name}, seed {seed}: {each.error}") from each.error
        each.site.heal()
        console.print(f"{each.site.name}: " + ", ".join(f"{n} × {name}" for name, n in each.faults.most_common()))
    return gauges


def is_running(process: psutil.Process) -> bool:
    """Return whether `process` runs: one that has ended is there until its parent asks."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def report_progress(minutes: float, chaos: list[Chaos]) -> None:
    """Print a line for each system."""
    for each in chaos:
        with contextlib.suppress(Exception):  # its database may be down
            counts = dict(each.site.system.counts())
            console.print(
                f"{minutes:5.1f} min, {each.site.name}: {sum(each.faults.values())} faults, {counts}, {each.last}"
            )


def audit(site: Site) -> None:
    """Wait until every record has its result, stop everything, and compare records, images and queues."""
    site.system.stop(site.mortal["oat-producer"])
    wait_until(lambda: not site.system.counts().get("waiting"), f"all results, {site.name}", 600, step=1)
    letters = site.system.dead_letters()
    assert set(letters) <= {NO_TASK}, letters
    count = site.system.finish()
    console.print(f"{site.name}: {count} records add up, {len(letters)} dead letters were no tasks")


def main() -> int:
    """Soak, and return 1 if a gauge is not level."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", default=str(random.randrange(10**6)), help="draws the same faults again")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    console.print(f"{options.minutes:g} minutes, seed {options.seed}")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        sites, steady = [], {}
        for kind in (on_servers, embedded):
            own = folder / kind.__name__
            own.mkdir()
            sites.append(site := stack.enter_context(kind(own)))
            add_disks(site, stack)
            steady |= start(site)
        gauges = soak(sites, steady, options.minutes, options.seed)
        for site in sites:
            audit(site)
    table = Table("", "gauge", "1st quarter", "2nd", "3rd", "4th", "level?", title="Medians of each quarter")
    for who, what, quarters, level in gauges.table():
        table.add_row(who, what, *(f"{value:.1f}" for value in quarters), "yes" if level else "[bold red]NO[/]")
    console.print(table)
    return int(not all(level for *_, level in gauges.table()))


if __name__ == "__main__":
    sys.exit(main())
