"""A user sees and does what its project allows, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from openstack.connection import Connection
from openstack.exceptions import ForbiddenException

from helpers import connect


@pytest.fixture
def stranger(administrator: Connection) -> Iterator[Connection]:
    """The user of another project."""
    name = f"stranger-{uuid4().hex[:6]}"
    identity = administrator.identity
    project = identity.create_project(name=name, domain_id="default")
    user = identity.create_user(
        name=name, password=uuid4().hex, domain_id="default", default_project_id=project.id
    )
    password = uuid4().hex
    identity.update_user(user, password=password)
    identity.assign_project_role_to_user(project, user, identity.find_role("member"))
    try:
        domains = {"user_domain_id": "default", "project_domain_id": "default"}
        url = administrator.config.auth["auth_url"]
        yield connect(auth_url=url, username=name, password=password, project_name=name, **domains)
    finally:
        identity.delete_user(user)
        identity.delete_project(project)


def test_another_projects_user_sees_nothing(user: Connection, stranger: Connection) -> None:
    network = user.network.create_network(name=f"private-{uuid4().hex[:6]}")
    try:
        assert network.id not in [found.id for found in stranger.network.networks()]
        assert list(stranger.compute.servers()) == []
        assert list(stranger.network.ports()) == []
        assert list(stranger.object_store.containers()) == []
        assert list(stranger.orchestration.stacks()) == []
    finally:
        user.network.delete_network(network)


def test_the_user_is_no_administrator(user: Connection) -> None:
    with pytest.raises(ForbiddenException):
        list(user.identity.users())
    with pytest.raises(ForbiddenException):
        list(user.compute.hypervisors())


def test_passwords_are_in_files_of_their_owner() -> None:
    folder = os.environ["OAT_CLOUD"]
    for name in (
        "clouds.yaml",
        "admin-clouds.yaml",
        "tutorial-openrc",
        "state/passwords.json",
        "etc/nova/nova.conf",
    ):
        assert Path(folder, name).stat().st_mode & 0o077 == 0, name
