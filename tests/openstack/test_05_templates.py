"""Heat accepts every template; of Designate and Cinder this cloud has but an entry in the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openstack.connection import Connection

from conftest import parameters
from helpers import TEMPLATES, connect


@pytest.fixture(scope="module")
def user_who_sees_more(administrator: Connection, user: Connection) -> Iterator[Connection]:
    """The user, whose catalogue has Designate and Cinder at an address where nobody listens."""
    identity = administrator.identity
    services = [
        identity.create_service(name=name, type=kind)
        for name, kind in (("designate", "dns"), ("cinder", "volumev3"))
    ]
    for service in services:
        for interface in "public", "internal", "admin":
            identity.create_endpoint(
                service_id=service.id, interface=interface, url="http://127.0.0.1:9", region_id="RegionOne"
            )
    try:
        yield connect(**user.config.auth)  # a catalogue comes with a token
    finally:
        for service in services:
            identity.delete_service(service)


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.yaml")), ids=lambda path: path.name)
def test_heat_accepts_it(template: Path, user_who_sees_more: Connection) -> None:
    orchestration = user_who_sees_more.orchestration
    answer = orchestration.post("/validate", json={"template": template.read_text(), "files": files()})
    assert answer.status_code == 200, answer.text
    assert answer.json()["Description"]


def test_heat_would_make_the_volume(user_who_sees_more: Connection) -> None:
    order = {
        "stack_name": "preview",
        "template": (TEMPLATES / "tiers.yaml").read_text(),
        "files": files(),
        "environment": (TEMPLATES / "volume.env").read_text(),
        "parameters": parameters(),
    }
    answer = user_who_sees_more.orchestration.post("/stacks/preview", json=order)
    assert answer.status_code == 200, answer.text
    resources = {
        resource["resource_name"]: resource
        for resource in answer.json()["stack"]["resources"]
        if isinstance(resource, dict)
    }
    assert resources["service"]["properties"]["block_device_mapping_v2"]


def files() -> dict[str, str]:
    """What the templates name."""
    return {file.name: file.read_text() for file in [*TEMPLATES.glob("*.yaml"), *TEMPLATES.glob("*.sh")]}
