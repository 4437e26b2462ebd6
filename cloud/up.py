"""`make cloud`: brings up what is not up yet, in the order in which the services need each other."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cloud import packages, workspace
from cloud.image import build_application, build_debian, upload
from cloud.processes import Process, Supervisor
from cloud.progress import CloudError, say, step
from cloud.service import Service, python, run, succeeds
from cloud.services import (
    aodh,
    glance,
    heat,
    keystone,
    libvirt,
    mariadb,
    neutron,
    nova,
    octavia,
    openvswitch,
    placement,
    prometheus,
    rabbitmq,
    swift,
)
from cloud.settings import GATEWAY, Cloud

SERVICES: list[Service] = [
    mariadb, rabbitmq, openvswitch, keystone, glance, placement, nova, neutron, heat, swift, libvirt,
    prometheus, aodh, octavia,
]  # fmt: skip


def up(cloud: Cloud, *, has_application: bool = False) -> None:
    """Brings the cloud up, with the image `debian`, or with `oat` too.

    Raises:
        CloudError: something cannot be had or does not start; what runs by then goes on.
    """
    packages.install_debian_packages(cloud)
    with ThreadPoolExecutor(max_workers=1) as pool:
        images = {"debian": pool.submit(build_debian, cloud)}  # mostly waits for downloads and disks
        if has_application:
            images["oat"] = pool.submit(build_application, cloud)
        packages.install_openstack(cloud)
        _bring_up(cloud)
        for name, image in images.items():
            upload(cloud, name, image.result())


def _bring_up(cloud: Cloud) -> None:
    supervisor = Supervisor(cloud)
    if not supervisor.alive("ovs-vswitchd"):
        _check_addresses(cloud)
    workspace.clear_remains(cloud, supervisor)
    workspace.remember_mounts(cloud)
    for service in SERVICES:
        service.configure(cloud)
    workspace.write_clients(cloud)
    _start_foundations(cloud, supervisor)
    _migrate(cloud)
    _start(supervisor, keystone.processes(cloud))
    _once(
        cloud,
        "identity",
        "users, projects and the catalogue",
        lambda: python(cloud, "cloud.identity"),
        _source("identity"),
    )
    _start_services(cloud, supervisor)
    _once(
        cloud,
        "resources",
        "the network public, flavors, quotas",
        lambda: python(cloud, "cloud.resources"),
        _source("resources"),
    )
    _start(supervisor, all_processes(cloud))  # once more what has ended meanwhile


def all_processes(cloud: Cloud) -> list[Process]:
    """Everything that runs when the cloud is up."""
    processes = [process for service in SERVICES for process in service.processes(cloud)]
    return [*processes, *openvswitch.ovn_processes(cloud), nova.compute(cloud)]


def _check_addresses(cloud: Cloud) -> None:
    if not succeeds(cloud, "sh", "-c", f"! ip -4 address show to {GATEWAY}/24 | grep -v 'br-ex$' | grep -q inet"):
        raise CloudError(
            f"this machine has an address in {GATEWAY}/24 already, which is to be the cloud's network"
        )


def _start(supervisor: Supervisor, processes: list[Process]) -> None:
    """Starts processes all at once, then waits for each."""
    _wait(supervisor, _launch(supervisor, processes))


def _launch(supervisor: Supervisor, processes: list[Process]) -> dict[Process, bool]:
    """Starts processes; which of them did not run before."""
    return {process: supervisor.start(process) for process in processes}


def _wait(supervisor: Supervisor, launched: dict[Process, bool]) -> None:
    for process in launched:
        try:
            supervisor.wait(process)
        except CloudError as error:
            if supervisor.alive(process.name):
                raise
            # Once more, as systemd would: ovn-controller may end without a word in its first second.
            say(f"{str(error).partition(';')[0]}; it is started once more")
            supervisor.start(process)
            supervisor.wait(process)
    if new := [process.name for process, is_new in launched.items() if is_new]:
        say(f"{', '.join(new)}: up")


def _start_foundations(cloud: Cloud, supervisor: Supervisor) -> None:
    """MariaDB and RabbitMQ take some seconds; the network is there before."""
    servers = _launch(supervisor, [*mariadb.processes(cloud), *rabbitmq.processes(cloud)])
    database, switch = openvswitch.processes(cloud)
    _start(supervisor, [database])
    openvswitch.tell_the_chassis(cloud)
    _start(supervisor, [switch])
    openvswitch.make_bridges(cloud)
    _start(supervisor, openvswitch.ovn_processes(cloud))
    _wait(supervisor, servers)


def _start_services(cloud: Cloud, supervisor: Supervisor) -> None:
    """Everything but Keystone, at once: each waits for what it needs."""
    services = glance, placement, nova, neutron, heat, swift, prometheus, aodh, octavia
    launched = _launch(supervisor, [process for service in services for process in service.processes(cloud)])
    _start(supervisor, libvirt.processes(cloud))
    launched |= _launch(supervisor, [nova.compute(cloud)])
    _wait(supervisor, launched)
    python(cloud, "cloud.await_agents")
    discover = nova.discover_hosts(cloud)
    _once(
        cloud, "cell", "the compute node's cell", lambda: run(cloud, discover, "nova-manage"), " ".join(discover)
    )


def _migrate(cloud: Cloud) -> None:
    """Makes the databases and their tables; again only when another version is installed."""
    services = [service for service in SERVICES if service.DATABASES]

    def migrate_all() -> None:
        mariadb.create_databases(cloud, [name for service in services for name in service.DATABASES])
        with ThreadPoolExecutor(max_workers=3) as pool:
            list(pool.map(lambda service: _migrate_one(cloud, service), services))

    pins = re.findall(
        r"^((?:keystone|glance|openstack-placement|nova|neutron|openstack-heat|aodh|octavia)==\S+)",
        cloud.requirements.read_text(),
        re.M,
    )
    _once(cloud, "tables", "the services' tables", migrate_all, " ".join(pins))


def _migrate_one(cloud: Cloud, service: Service) -> None:
    for command in service.migrations(cloud):
        run(cloud, command, f"{service.DATABASES[0]}-tables")


def _once(cloud: Cloud, name: str, text: str, action: Callable[[], object], depends_on: str) -> None:
    """Does what is done already only if what it depends on has changed since."""
    stamp = cloud.state / "done" / name
    if stamp.exists() and stamp.read_text() == depends_on:
        return
    with step(text):
        action()
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(depends_on)


def _source(module: str) -> str:
    """The digest of a module of this driver, and of the addresses it works with."""
    files = Path(__file__).with_name(f"{module}.py"), Path(__file__).with_name("settings.py")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
