"""The cloud that `make cloud` has brought up, as its user sees it, and commands inside its servers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from openstack.connection import Connection
from renderings import Renderings

import openstack
from helpers import CLOUD, TEMPLATES, Application, Stack, connect


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what the tests have recorded."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{report.nodeid}: {name}: {value}")


@pytest.fixture(scope="session")
def user() -> Connection:
    """The user tutorial, who is no administrator."""
    return openstack.connect(cloud="tutorial")


@pytest.fixture(scope="session")
def administrator() -> Connection:
    entry = json.loads((CLOUD / "admin-clouds.yaml").read_text())["clouds"]["admin"]
    return connect(**entry["auth"])


@pytest.fixture(scope="session")
def tiers(user: Connection) -> Iterator[Stack]:
    """The stack of tiers.yaml with one worker, which the tests 10 to 50 change in turn, and 80 deletes.

    To work on one test, name the stack by OAT_STACK: it is made once, and stays.
    """
    kept = os.environ.get("OAT_STACK")
    stack = Stack(user, kept or f"oat-{uuid4().hex[:6]}")
    try:
        if not stack.get():
            stack.create(TEMPLATES / "tiers.yaml", **parameters())
        yield stack
    finally:
        if not kept and stack.get():
            stack.delete()


def parameters() -> dict[str, Any]:
    """What the servers need to keep objects in Swift; and the gallery without the token, for Prometheus.

    public_reading could not come later here: with it the tracker's server is replaced, and libvirt's LXC driver
    cannot detach the old server from its port.
    """
    return {
        "public_reading": True,
        "ready_within": 1200,  # seconds; a machine that does much else boots slowly
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
