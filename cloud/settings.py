"""Where everything of the cloud is: folder, addresses, passwords, and what its configurations share."""

from __future__ import annotations

import json
import os
import secrets
from functools import cached_property
from pathlib import Path

from cloud.progress import CloudError

LOOPBACK = "127.0.0.1"
GATEWAY = (
    "172.24.4.1"  # this machine's address on br-ex, where servers and users find the APIs; DevStack has the same
)
OUTER_NETWORK = "172.24.4.0/24"
FLOATING_RANGE = ("172.24.4.100", "172.24.4.199")
REGION = "RegionOne"
RELEASES = ("2026.2", "2026.1")  # of OpenStack, the first by default
HOST = "oat-cloud"  # the name of the one compute node

# The ports are OpenStack's own plus 10,000, so that nothing that listens on this machine already is in the way.
PORTS = {
    "keystone": 15000,
    "glance": 19292,
    "placement": 18778,
    "nova": 18774,
    "nova-metadata": 18775,
    "neutron": 19696,
    "heat": 18004,
    "heat-cfn": 18000,
    "swift": 18080,
    "swift-account": 16202,
    "swift-container": 16201,
    "swift-object": 16200,
    "aodh": 18042,
    "prometheus": 19090,
    "octavia": 19876,
    "memcached": 21211,
    "rabbitmq": 15672,
    "rabbitmq-distribution": 35672,
    "epmd": 14369,
    "ovsdb": 16640,
}
PASSWORDS = (
    "admin",
    "tutorial",
    "tutorial-objects",
    "objects_access_key",
    "objects_secret_key",
    "service",
    "heat_domain_admin",
    "database",
    "rabbitmq",
    "metadata_proxy",
    "heat_encryption_key",
    "swift_hash",
)


class Cloud:
    """One cloud, all of it below one folder.

    Args:
        folder: where to keep it; the setting OAT_CLOUD, or /srv/oat-cloud.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = Path(folder or os.environ.get("OAT_CLOUD") or "/srv/oat-cloud").absolute()
        self.etc = self.folder / "etc"  # configurations, written anew by each `make cloud`
        self.log = self.folder / "log"
        self.run = self.folder / "run"  # sockets, locks, records of processes
        self.state = self.folder / "state"  # databases, images, disks of servers
        self.venv = self.folder / "venv"
        self.bin = self.folder / "bin"  # the commands a user of the cloud needs
        self.switch = self.folder / "switch"  # Open vSwitch and OVN, unpacked

    @cached_property
    def release(self) -> str:
        """Which release of OpenStack this is: what it was begun with, else what OAT_CLOUD_RELEASE says.

        Raises:
            CloudError: there is no such release here, or the cloud is of another one.
        """
        wanted, file = os.environ.get("OAT_CLOUD_RELEASE", ""), self.state / "release"
        known = file.read_text() if file.exists() else wanted or RELEASES[0]
        if wanted not in {"", known}:
            raise CloudError(
                f"the cloud in {self.folder} is {known}: set OAT_CLOUD to another folder for {wanted}"
            )
        if known not in RELEASES:
            raise CloudError(f"there are the releases {' and '.join(RELEASES)} here, not {known}")
        return known

    @property
    def requirements(self) -> Path:
        """The pinned packages of its release."""
        suffix = "" if self.release == RELEASES[0] else f"-{self.release}"
        return Path(__file__).parents[1] / f"requirements-cloud{suffix}.txt"

    @cached_property
    def passwords(self) -> dict[str, str]:
        """The passwords of this cloud, made once; only root may read the file."""
        file = self.state / "passwords.json"
        known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        missing = {name: secrets.token_hex(16) for name in PASSWORDS if name not in known}
        if missing:
            known |= missing
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary = file.with_suffix(".new")
            temporary.touch(mode=0o600)
            temporary.write_text(json.dumps(known, indent=1))
            temporary.rename(file)
        return known

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every process of the cloud; OAT_CLOUD_PROCESS marks it as one of this folder."""
        return {
            "OAT_CLOUD_PROCESS": str(self.folder),
            "PATH": f"{self.bin}:{self.venv}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.run),
            "TMPDIR": str(self.run),
            "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "ignore",
        }

    def url(self, service: str, address: str = LOOPBACK) -> str:
        """The address of a service's API, without a path."""
        return f"http://{address}:{PORTS[service]}"

    def write(self, file: str, text: str) -> Path:
        """Writes a configuration below `etc`; most hold passwords, so only root may read it."""
        path = self.etc / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    # What several configurations have in common, by the names of their sections.

    @property
    def database_socket(self) -> Path:
        """Where MariaDB listens; it has no other address."""
        return self.run / "mariadb.sock"

    def database(self, name: str) -> str:
        """SQLAlchemy's URL of a service's database."""
        password = self.passwords["database"]
        return (
            f"mysql+pymysql://openstack:{password}@localhost/{name}"
            f"?unix_socket={self.database_socket}&charset=utf8mb3"
        )

    @property
    def transport(self) -> str:
        """RabbitMQ's address, for oslo.messaging, and how long to wait for a reply: a busy machine is slow."""
        address = f"{LOOPBACK}:{PORTS['rabbitmq']}"
        return f"""transport_url = rabbit://openstack:{self.passwords["rabbitmq"]}@{address}/
rpc_response_timeout = 300"""

    @property
    def messaging(self) -> str:
        """The sections of oslo.messaging: classic queues, and no notifications, which nobody here would read."""
        return """
[oslo_messaging_rabbit]
rabbit_quorum_queue = false
heartbeat_in_pthread = true
rpc_conn_pool_size = 5

[oslo_messaging_notifications]
driver = noop
"""

    @property
    def credentials(self) -> str:
        """What a service says to Keystone when it calls another service."""
        return f"""auth_type = password
auth_url = {self.url("keystone")}
username = service
password = {self.passwords["service"]}
project_name = service
user_domain_id = default
project_domain_id = default
region_name = {REGION}
"""

    @property
    def keystone_authtoken(self) -> str:
        """The section of keystonemiddleware, with which a service has Keystone check its callers' tokens."""
        return f"""
[keystone_authtoken]
www_authenticate_uri = {self.url("keystone", GATEWAY)}
service_token_roles = service
service_token_roles_required = true
service_type = any
{self.credentials}"""
