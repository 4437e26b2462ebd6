"""The stack of tiers.yaml: it renders into Swift, and is open only where it has to be."""

from __future__ import annotations

import hashlib
import socket
from concurrent.futures import ThreadPoolExecutor

from openstack.connection import Connection

from helpers import Application, Stack, inside, reached, until

# Who may open a connection to whom, and where; everything else is closed.
OPEN = {
    ("producer", "service", 5672),
    ("worker", "service", 5672),
    ("tracker", "service", 5672),
    ("producer", "service", 3306),
    ("tracker", "service", 3306),
    ("producer", "tracker", 8080),
    ("worker", "tracker", 8080),
    ("service", "tracker", 8080),
}
PORTS = (22, 3306, 4369, 5672, 8080, 15672, 25672)  # of ssh, MariaDB, Erlang and RabbitMQ, the gallery


def test_tasks_are_rendered_into_swift(tiers: Stack, application: Application, user: Connection) -> None:
    uuids = application.create(300)
    until("300 images", lambda: application.has_done(uuids))
    application.audit()
    container = tiers.outputs()["container"]
    checksums = {fractal["uuid"]: fractal["checksum"] for fractal in application.fractals()}
    stored = {item.name for item in user.object_store.objects(container)}
    assert {f"images/{uuid}.png" for uuid in uuids} <= stored
    for uuid in sorted(uuids)[:20]:
        image = user.object_store.download_object(f"images/{uuid}.png", container)
        assert hashlib.sha256(image).hexdigest() == checksums[uuid]


def test_security_groups_are_closed_but_for_what_is_needed(tiers: Stack) -> None:
    servers = {role: tiers.servers(role)[0] for role in ("service", "tracker", "producer", "worker")}
    addresses = {
        role: next(a["addr"] for a in next(iter(server.addresses.values())) if a["OS-EXT-IPS:type"] == "fixed")
        for role, server in servers.items()
    }
    roles = {address: role for role, address in addresses.items()}

    def opened(source: str) -> set[tuple[str, str, int]]:
        others = [address for role, address in addresses.items() if role != source]
        return {(source, roles[address], port) for address, port in reached(servers[source], others, PORTS)}

    with ThreadPoolExecutor(len(servers)) as pool:
        found = set().union(*pool.map(opened, servers))
    assert found == OPEN
    # The servers do listen there: what is closed is closed on the way.
    listening = inside(servers["service"], ["ss", "-Hltn"]).stdout
    assert all(f":{port} " in listening for port in (22, 3306, 4369, 5672, 15672, 25672))


def test_only_the_gallery_is_open_to_the_world(tiers: Stack) -> None:
    address = tiers.outputs()["gallery"].removeprefix("http://").partition(":")[0]

    def answers(port: int) -> bool:
        try:
            socket.create_connection((address, port), timeout=4).close()
        except OSError:
            return False
        return True

    with ThreadPoolExecutor(len(PORTS)) as pool:
        assert [port for port, answered in zip(PORTS, pool.map(answers, PORTS), strict=True) if answered] == [8080]
