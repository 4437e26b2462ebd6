"""Octavia, the Load Balancer service: one address for several servers.

It has OVN do it: the load balancer is a set of flows in the switch, which give each new connection to one of
the servers. (Its other driver, amphora, starts a server with haproxy for each load balancer.) The driver's agent
reports to the API what has become of an order.
"""

import shutil
from pathlib import Path

from cloud.processes import Process
from cloud.service import api
from cloud.services import openvswitch
from cloud.settings import Cloud

DATABASES: tuple[str, ...] = ("octavia",)
_SOCKETS = Path("/run/octavia")  # where OVN's driver looks for the agent's sockets, whatever octavia.conf says


def configure(cloud: Cloud) -> None:
    """Writes octavia.conf."""
    _SOCKETS.mkdir(exist_ok=True)
    cloud.write(
        "octavia/octavia.conf",
        f"""\
[DEFAULT]
{cloud.transport}

[database]
connection = {cloud.database("octavia")}

[api_settings]
enabled_provider_drivers = ovn: OVN
default_provider_driver = ovn
auth_strategy = keystone

[driver_agent]
enabled_provider_agents = ovn

[ovn]
ovn_nb_connection = {openvswitch.socket(cloud)}
ovn_sb_connection = {openvswitch.socket(cloud)}

[service_auth]
{cloud.credentials}
[neutron]
{cloud.credentials}
[oslo_messaging]
topic = octavia
{cloud.messaging}{cloud.keystone_authtoken}""",
    )


def migrations(cloud: Cloud) -> list[list[str]]:
    """Its tables."""
    return [["octavia-db-manage", *_configuration(cloud), "upgrade", "head"]]


def processes(cloud: Cloud) -> list[Process]:
    """The agent, the API."""
    return [
        Process(
            "octavia-driver-agent",
            ["octavia-driver-agent", *_configuration(cloud)],
            ready=(_SOCKETS / "status.sock").is_socket,
        ),
        api(cloud, "octavia", "octavia.wsgi.api", *_configuration(cloud)),
    ]


def remove_sockets() -> None:
    """Takes back the folder of the sockets."""
    shutil.rmtree(_SOCKETS, ignore_errors=True)


def _configuration(cloud: Cloud) -> list[str]:
    return ["--config-file", f"{cloud.etc}/octavia/octavia.conf"]
