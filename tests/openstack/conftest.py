"""The cloud that `make cloud` has brought up, as its user sees it, and commands inside its servers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from helpers import TEMPLATES, Application, Stack
from openstack.connection import Connection

import openstack


@pytest.fixture(scope="session")
def user() -> Connection:
    """The user tutorial, who is no administrator."""
    return openstack.connect(cloud="tutorial")


@pytest.fixture(scope="session")
def administrator() -> Connection:
    file = Path(os.environ["OAT_CLOUD"]) / "admin-clouds.yaml"
    return openstack.connect(cloud="admin", load_yaml_config=True, config_files=[str(file)])


@pytest.fixture(scope="module")
def tiers(user: Connection) -> Iterator[Stack]:
    """The stack of tiers.yaml with one worker, deleted in the end if the test has not done so."""
    stack = Stack(user, f"oat-{uuid4().hex[:6]}")
    try:
        stack.create(TEMPLATES / "tiers.yaml", **keys())
        yield stack
    finally:
        stack.delete()


def keys() -> dict[str, str]:
    """What the servers need to keep objects in Swift."""
    return {
        "s3_endpoint": os.environ["AWS_ENDPOINT_URL"],
        "s3_access_key": os.environ["AWS_ACCESS_KEY_ID"],
        "s3_secret_key": os.environ["AWS_SECRET_ACCESS_KEY"],
    }


@pytest.fixture
def application(tiers: Stack) -> Application:
    """The application in it, by its API."""
    outputs = tiers.outputs()
    return Application(outputs["gallery"], outputs["token"])
