"""The commands of the tutorial, typed by hand, a resource at a time."""

from __future__ import annotations

from chapters import run
from openstack.connection import Connection

from helpers import CHECKOUT


def test_the_chapter_is_true_and_leaves_nothing(user: Connection) -> None:
    assert run(CHECKOUT / "docs/tutorial/cloud-2-a-server-by-hand.md", CHECKOUT) == []
    kinds = ("networks", "routers", "ports", "security_groups")
    found = [item.name for kind in kinds for item in getattr(user.network, kind)()]
    found += [server.name for server in user.compute.servers()]
    found += [container.name for container in user.object_store.containers()]
    assert [name for name in found if name.startswith("hand")] == []
