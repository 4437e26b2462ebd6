"""Heat accepts every template, that for Designate too, of which this cloud has but an entry in the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from openstack.connection import Connection

from helpers import TEMPLATES, connect


@pytest.fixture
def user_who_sees_designate(administrator: Connection, user: Connection) -> Iterator[Connection]:
    """The user, whose catalogue has Designate at an address where nobody listens."""
    identity = administrator.identity
    service = identity.create_service(name="designate", type="dns")
    for interface in "public", "internal", "admin":
        identity.create_endpoint(
            service_id=service.id, interface=interface, url="http://127.0.0.1:9", region_id="RegionOne"
        )
    try:
        yield connect(**user.config.auth)  # a catalogue comes with a token
    finally:
        identity.delete_service(service)


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.yaml")), ids=lambda path: path.name)
def test_heat_accepts_it(template: Path, user_who_sees_designate: Connection) -> None:
    orchestration = user_who_sees_designate.orchestration
    nested = {file.name: file.read_text() for file in [*TEMPLATES.glob("*.yaml"), *TEMPLATES.glob("*.sh")]}
    answer = orchestration.post("/validate", json={"template": template.read_text(), "files": nested})
    assert answer.status_code == 200, answer.text
    assert answer.json()["Description"]
