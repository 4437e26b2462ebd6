"""How soon a server of the gold image is at work: measured while the cloud does nothing else, and not asserted."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from openstack.connection import Connection

from helpers import TEMPLATES, Application, until


@pytest.fixture
def group(user: Connection) -> Iterator[str]:
    """The name of a security group that lets the gallery be seen."""
    name = f"gold-{uuid4().hex[:6]}"
    made = user.network.create_security_group(name=name)
    try:
        user.network.create_security_group_rule(
            security_group_id=made.id,
            direction="ingress",
            protocol="tcp",
            port_range_min=8080,
            port_range_max=8080,
        )
        yield name
    finally:
        user.network.delete_security_group(made)


def test_a_server_is_at_work_soon(
    user: Connection, group: str, record_property: Callable[[str, object], None]
) -> None:
    token = uuid4().hex
    settings = (
        f"service=localhost network= target= source= limit=1200\nOAT_PASSWORD={uuid4().hex} OAT_API_TOKEN={token}"
    )
    boot = (TEMPLATES / "boot.sh").read_text()
    for place, value in (("@ROLE@", "all"), ("@SETTINGS@", settings), ("@NOTIFY@", ":")):
        boot = boot.replace(place, value)
    order = {
        "image_id": user.image.find_image("oat").id,
        "flavor_id": user.compute.find_flavor("large").id,
        "networks": [{"uuid": user.network.find_network("public").id}],
        "security_groups": [{"name": group}],
        "user_data": base64.b64encode(boot.encode()).decode(),
    }
    load, began = os.getloadavg()[0], time.monotonic()
    server = user.compute.create_server(name=group, **order)
    try:
        server = user.compute.wait_for_server(server, wait=600, interval=1)
        active = time.monotonic() - began
        application = Application(f"http://{server.addresses['public'][0]['addr']}:8080/", token)

        def has_rendered() -> bool:
            try:
                return bool(application.status()["done"])
            except OSError:  # nobody listens yet, or who listens has no connections yet
                return False

        until("the first image", has_rendered, pause=0.2)
        seconds = time.monotonic() - began
        record_property(
            "a server of the gold image", f"ACTIVE after {active:.0f} s, first image after {seconds:.0f} s"
        )
        record_property("load before", load)
    finally:
        user.compute.delete_server(server)
        user.compute.wait_for_delete(server)
