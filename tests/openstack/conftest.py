"""The cloud that `make cloud` has brought up, as its user sees it, and commands inside its servers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from openstack.connection import Connection
from renderings import Renderings

import openstack
from helpers import CLOUD, TEMPLATES, Application, Stack


@pytest.fixture(scope="session")
def user() -> Connection:
    """The user tutorial, who is no administrator."""
    return openstack.connect(cloud="tutorial")


@pytest.fixture(scope="session")
def administrator() -> Connection:
    entry = json.loads((CLOUD / "admin-clouds.yaml").read_text())["clouds"]["admin"]
    return connect(**entry["auth"])


def connect(**auth: str) -> Connection:
    """A connection as anyone, whatever OS_CLOUD says."""
    return openstack.connect(load_yaml_config=False, load_envvars=False, auth=auth, region_name="RegionOne")


@pytest.fixture(scope="session")
def tiers(user: Connection) -> Iterator[Stack]:
    """The stack of tiers.yaml with one worker, which the tests 10 to 50 change in turn, and 80 deletes."""
    stack = Stack(user, f"oat-{uuid4().hex[:6]}")
    try:
        stack.create(TEMPLATES / "tiers.yaml", **keys())
        yield stack
    finally:
        if stack.get():
            stack.delete()


def keys() -> dict[str, str]:
    """What the servers need to keep objects in Swift."""
    return {
        "s3_endpoint": os.environ["AWS_ENDPOINT_URL"],
        "s3_access_key": os.environ["AWS_ACCESS_KEY_ID"],
        "s3_secret_key": os.environ["AWS_SECRET_ACCESS_KEY"],
    }


@pytest.fixture
def renderings(tiers: Stack, tmp_path: Path) -> Iterator[Renderings]:
    """What its workers begin and finish."""
    watched = Renderings(tiers, tmp_path)
    yield watched
    watched.stop()


@pytest.fixture
def application(tiers: Stack) -> Application:
    """The application in it, by its API."""
    outputs = tiers.outputs()
    return Application(outputs["gallery"], outputs["token"])
