"""The stack of all-in-one.yaml; Nova's API is killed while Heat makes it."""

from __future__ import annotations

from uuid import uuid4

from openstack.connection import Connection
from processes import kill

from helpers import TEMPLATES, Application, Stack, driver, until


def delete_unknown(stack: Stack) -> None:
    """Deletes the server that Nova made without an answer to Heat: it has the port that the next one needs."""
    known = {resource["physical_resource_id"] for resource in stack.resources()}
    for server in stack.servers():
        if server.id not in known:
            stack.user.compute.delete_server(server)
            stack.user.compute.wait_for_delete(server)


def test_it_is_made_although_nova_is_killed_in_the_middle(user: Connection) -> None:
    stack = Stack(user, f"oat-{uuid4().hex[:6]}")
    try:
        stack.create(TEMPLATES / "all-in-one.yaml", wait=False)

        def server_begun() -> bool:
            return any(
                resource["resource_name"] == "server" and resource["resource_status"] == "CREATE_IN_PROGRESS"
                for resource in stack.resources()
            )

        until("Heat making the server", server_begun, pause=0.1)
        kill("nova")
        driver("up")
        until("Heat's answer", lambda: "IN_PROGRESS" not in stack.get().status)
        if stack.get().status == "CREATE_FAILED":  # in the middle of a request; or Heat has asked again
            delete_unknown(stack)
            stack.update(TEMPLATES / "all-in-one.yaml", settle=False)  # its wait condition waits on
        assert stack.get().status.endswith("COMPLETE")
        assert len(stack.servers()) == 1
        outputs = stack.outputs()
        application = Application(outputs["gallery"], outputs["token"])
        until("ten images", lambda: application.status()["done"] >= 10)
        application.audit()
    finally:
        stack.delete()
    assert not stack.servers()
