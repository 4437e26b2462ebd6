"""The commands of the tutorial, typed by hand, a resource at a time."""

from __future__ import annotations

import os
import subprocess

from openstack.connection import Connection

from helpers import CHECKOUT


def test_the_chapter_is_true_and_leaves_nothing(user: Connection) -> None:
    chapter = CHECKOUT / "docs/tutorial/cloud-2-a-server-by-hand.md"
    done = subprocess.run(
        [CHECKOUT / ".venv/bin/python", "-m", "tutorial.run", chapter],
        cwd=CHECKOUT,  # here, this folder's helpers.py would be taken for the package helpers
        env=os.environ | {"PYTHONPATH": str(CHECKOUT / "tests")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kinds = ("networks", "routers", "ports", "security_groups")
    found = [item.name for kind in kinds for item in getattr(user.network, kind)()]
    found += [server.name for server in user.compute.servers()]
    found += [container.name for container in user.object_store.containers()]
    assert [name for name in found if name.startswith("hand")] == []
