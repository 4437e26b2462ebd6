"""The stack of all-in-one.yaml."""

from __future__ import annotations

from uuid import uuid4

from openstack.connection import Connection

from helpers import TEMPLATES, Application, Stack, until


def test_one_server_does_it_all(user: Connection) -> None:
    stack = Stack(user, f"oat-{uuid4().hex[:6]}")
    try:
        stack.create(TEMPLATES / "all-in-one.yaml")
        outputs = stack.outputs()
        application = Application(outputs["gallery"], outputs["token"])
        until("ten images", lambda: application.status()["done"] >= 10)
        assert application.command("audit").returncode == 0
    finally:
        stack.delete()
