"""Placement: how much (cores, memory, disk) each compute node has, and who has claimed how much of it.

Nova's scheduler asks it which nodes have room for a new server, and claims the room there before the server is
made.
"""

from cloud.processes import Process
from cloud.service import api
from cloud.settings import Cloud

DATABASES: tuple[str, ...] = ("placement",)


def configure(cloud: Cloud) -> None:
    """Writes placement.conf."""
    cloud.write(
        "placement/placement.conf",
        f"""\
[api]
auth_strategy = keystone

[placement_database]
connection = {cloud.database("placement")}
{cloud.keystone_authtoken}""",
    )


def migrations(cloud: Cloud) -> list[list[str]]:
    """Its tables."""
    return [["placement-manage", "--config-file", f"{cloud.etc}/placement/placement.conf", "db", "sync"]]


def processes(cloud: Cloud) -> list[Process]:
    """The API."""
    environment = {"OS_PLACEMENT_CONFIG_DIR": f"{cloud.etc}/placement"}
    return [api(cloud, "placement", "placement.wsgi.api", environment=environment)]
