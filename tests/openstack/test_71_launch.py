"""launch.py: the same servers without Heat."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from openstack.connection import Connection

from helpers import TEMPLATES, Application, until


def names(user: Connection) -> set[str]:
    """What there is of it."""
    kinds = ("networks", "routers", "ports", "security_groups")
    found = {item.name for kind in kinds for item in getattr(user.network, kind)()}
    found |= {server.name for server in user.compute.servers()}
    found |= {container.name for container in user.object_store.containers()}
    return {name for name in found if name.startswith("launched-")}


def servers(user: Connection) -> set[str]:
    """The identifiers of its servers."""
    return {server.id for server in user.compute.servers() if server.name.startswith("launched-")}


def test_it_may_be_run_again_and_leaves_nothing(user: Connection, tmp_path: Path) -> None:
    def launch(*arguments: str) -> str:
        command = [sys.executable, str(TEMPLATES / "launch.py"), *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=900, check=True
        ).stdout

    before = names(user)
    try:
        gallery = launch("up").strip()
        secrets = (tmp_path / "oat-secrets").read_text()
        token = re.search("OAT_API_TOKEN=([0-9a-f]+)", secrets)
        assert token
        application = Application(gallery, token[1])
        until("ten images", lambda: application.status()["done"] >= 10)
        made = servers(user)
        assert launch("up", "--workers", "2").strip() == gallery
        assert made < servers(user)
        until("both workers at work", lambda: len(application.status()["workers"]) >= 2)
        assert application.command("audit").returncode == 0
    finally:
        launch("down")
    assert names(user) == before
