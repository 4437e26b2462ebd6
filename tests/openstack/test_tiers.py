"""The stack of tiers.yaml, from its creation to its deletion, in this order."""

from __future__ import annotations

import hashlib
import json
import socket
from typing import Any

from openstack.connection import Connection

from conftest import keys
from helpers import TEMPLATES, Application, Stack, inside, post, reached, until

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


def all_done(application: Application, uuids: set[str]) -> bool:
    state = {fractal["uuid"]: fractal["status"] for fractal in application.fractals()}
    return all(state.get(uuid) == "done" for uuid in uuids)


def create(application: Application, count: int) -> set[str]:
    made = application.command("create", "--count", str(count), "--json")
    assert made.returncode == 0, made.stderr
    return {fractal["uuid"] for fractal in json.loads(made.stdout)}


def audit(application: Application) -> dict[str, Any]:
    done = application.command("audit", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_tasks_are_rendered_into_swift(tiers: Stack, application: Application, user: Connection) -> None:
    uuids = create(application, 300)
    until("300 images", lambda: all_done(application, uuids))
    audit(application)
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
    found = {
        (source, target, port)
        for source, server in servers.items()
        for target, address in addresses.items()
        if source != target
        for _, port in reached(server, [address], PORTS)
    }
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

    assert {port for port in PORTS if answers(port)} == {8080}


def test_it_is_scaled_out_and_in_under_load_and_loses_nothing(tiers: Stack, application: Application) -> None:
    uuids = create(application, 1000)
    outputs = tiers.outputs()

    def scaled(webhook: str, size: int) -> bool:
        if len(tiers.servers("worker")) != size:
            post(outputs[webhook])  # one that comes within the group's cooldown does nothing
        workers = tiers.servers("worker")
        return len(workers) == size and all(worker.status == "ACTIVE" for worker in workers)

    until("three workers", lambda: scaled("scale_out", 3), pause=10)
    until("three at work", lambda: len(application.status()["workers"]) >= 3)
    until("one worker", lambda: scaled("scale_in", 1), pause=10)
    until("1000 images", lambda: all_done(application, uuids))
    audit(application)


def test_a_server_deleted_behind_its_back_is_made_again(
    tiers: Stack, application: Application, user: Connection
) -> None:
    server = tiers.servers("worker")[0]
    user.compute.delete_server(server)
    user.compute.wait_for_delete(server)
    until("the stack's quiet", lambda: "IN_PROGRESS" not in tiers.get().status)
    tiers.check()
    assert tiers.get().status == "CHECK_FAILED"
    tiers.update(TEMPLATES / "tiers.yaml", **keys())
    workers = tiers.servers("worker")
    assert len(workers) == 1
    assert workers[0].id != server.id
    uuids = create(application, 20)
    until("20 images", lambda: all_done(application, uuids))


def test_nothing_is_left_when_it_is_deleted(tiers: Stack, user: Connection) -> None:
    name, container = tiers.name, tiers.outputs()["container"]
    servers = {server.id for server in tiers.servers()}
    network = user.network.find_network(next(iter(tiers.servers("service")[0].addresses)))
    tiers.delete()
    assert not servers & {server.id for server in user.compute.servers()}
    assert user.network.find_network(network.id) is None
    assert not list(user.network.ports(network_id=network.id))
    for kind in "routers", "security_groups", "networks":
        assert not [item.name for item in getattr(user.network, kind)() if item.name.startswith(name)]
    assert container not in [found.name for found in user.object_store.containers()]
