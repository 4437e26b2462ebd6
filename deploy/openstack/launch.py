"""The servers of tiers.yaml, made by openstacksdk: a call for each resource, and what is there already stays.

OS_CLOUD=tutorial python launch.py up --s3-endpoint http://172.24.4.1:18080 [--workers 3]
OS_CLOUD=tutorial python launch.py down
"""

import argparse
import base64
import json
import os
import re
import secrets
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openstack
from openstack.connection import Connection

BOOT = Path(__file__).with_name("boot.sh")
NETWORK = "10.20.0"
# Who may connect to which port of a role; None is the world.
OPEN = {
    "service": [("producer", 5672), ("worker", 5672), ("tracker", 5672), ("producer", 3306), ("tracker", 3306)],
    "tracker": [(None, 8080)],
    "producer": [],
    "worker": [],
}


class Launcher:
    """Makes and removes everything whose name begins with the given one."""

    def __init__(self, cloud: Connection, objects: Connection, options: argparse.Namespace) -> None:
        self.cloud, self.network, self.compute = cloud, cloud.network, cloud.compute
        self.objects = objects  # the same project, as a user who may do nothing but keep objects
        self.options = options
        self.secrets_file = Path(options.secrets)

    def name(self, what: str) -> str:
        """The name of a resource."""
        return f"{self.options.name}-{what}"

    def up(self) -> str:
        """Makes what is missing; the gallery's address."""
        outer = self.network.find_network(self.options.external_network, ignore_missing=False)
        network = self._make("network", self.network.find_network, self.network.create_network)
        subnet = self._make(
            "subnet",
            self.network.find_subnet,
            self.network.create_subnet,
            network_id=network.id,
            ip_version=4,
            cidr=f"{NETWORK}.0/24",
        )
        gateway = {"network_id": outer.id}
        router = self._make(
            "router", self.network.find_router, self.network.create_router, external_gateway_info=gateway
        )
        if not any(self.network.ports(device_id=router.id, network_id=network.id)):
            self.network.add_interface_to_router(router, subnet_id=subnet.id)
        groups = self._security_groups()
        self.cloud.object_store.create_container(self.name("images"))
        values = self._values()
        for role in ("service", "tracker", "producer", *self._workers()):
            kind = role.partition("-")[0]
            port = self._make(
                role,
                self.network.find_port,
                self.network.create_port,
                network_id=network.id,
                security_group_ids=[groups[kind].id],
            )
            if kind == "service":
                values["SERVICE"] = port.fixed_ips[0]["ip_address"]
            user_data = re.sub(
                "@([A-Z0-9_]+)@", lambda found: (values | {"ROLE": kind})[found[1]], BOOT.read_text()
            )
            self._make(
                role,
                self.compute.find_server,
                self.compute.create_server,
                image_id=self.cloud.image.find_image(self.options.image, ignore_missing=False).id,
                flavor_id=self.compute.find_flavor(self.options.flavor, ignore_missing=False).id,
                networks=[{"port": port.id}],
                user_data=base64.b64encode(user_data.encode()).decode(),
            )
        for role in [role for role in self._existing_workers() if role not in self._workers()]:
            self._remove_server(role)
        port = self.network.find_port(self.name("tracker"))
        address = next(self.network.ips(port_id=port.id), None) or self.network.create_ip(
            floating_network_id=outer.id, port_id=port.id
        )
        return f"http://{address.floating_ip_address}:8080/"

    def down(self) -> None:
        """Removes everything, in the reverse order."""
        port = self.network.find_port(self.name("tracker"))
        for address in self.network.ips(port_id=port.id) if port else ():
            self.network.delete_ip(address)
        for role in (*self._existing_workers(), "producer", "tracker", "service"):
            self._remove_server(role)
        router, subnet = (
            self.network.find_router(self.name("router")),
            self.network.find_subnet(self.name("subnet")),
        )
        if router and subnet and any(self.network.ports(device_id=router.id, network_id=subnet.network_id)):
            self.network.remove_interface_from_router(router, subnet_id=subnet.id)
        for kind, item in ("router", router), ("network", self.network.find_network(self.name("network"))):
            if item:
                getattr(self.network, f"delete_{kind}")(item)
        for role in reversed(OPEN):
            if group := self.network.find_security_group(self.name(role)):
                self.network.delete_security_group(group)
        store, container = self.cloud.object_store, self.name("images")
        if any(found.name == container for found in store.containers()):
            for item in store.objects(container):
                store.delete_object(item, container=container)
            store.delete_container(container)
        if self.secrets_file.exists():
            self._credentials(delete=json.loads(self.secrets_file.read_text())["S3_ACCESS_KEY"])
            self.secrets_file.unlink()

    def _make(self, what: str, find: Callable[..., Any], create: Callable[..., Any], **properties: Any) -> Any:
        return find(self.name(what)) or create(name=self.name(what), **properties)

    def _security_groups(self) -> dict[str, Any]:
        network = self.network
        groups = {
            role: self._make(role, network.find_security_group, network.create_security_group) for role in OPEN
        }
        for role, rules in OPEN.items():
            present = {
                (rule.remote_group_id, rule.port_range_min)
                for rule in network.security_group_rules(security_group_id=groups[role].id, direction="ingress")
            }
            for remote, port in rules:
                remote_id = groups[remote].id if remote else None
                if (remote_id, port) not in present:
                    network.create_security_group_rule(
                        security_group_id=groups[role].id,
                        direction="ingress",
                        protocol="tcp",
                        port_range_min=port,
                        port_range_max=port,
                        remote_group_id=remote_id,
                    )
        return groups

    def _values(self) -> dict[str, str]:
        """What boot.sh gets in place of the names between at signs; secrets are made once, and kept in a file."""
        if not self.secrets_file.exists():
            keys = self._credentials()
            made = {"PASSWORD": secrets.token_hex(16), "TOKEN": secrets.token_hex(16)}
            made |= {"S3_ACCESS_KEY": keys["access"], "S3_SECRET_KEY": keys["secret"]}
            self.secrets_file.touch(mode=0o600)
            self.secrets_file.write_text(json.dumps(made))
        fixed = {
            "NETWORK": NETWORK,
            "SOURCE": "",
            "LIMIT": "300",
            "NOTIFY": ":",
            "S3_ENDPOINT": self.options.s3_endpoint,
        }
        return json.loads(self.secrets_file.read_text()) | fixed | {"TARGET": f"s3://{self.name('images')}/images"}

    def _credentials(self, delete: str = "") -> dict[str, str]:
        path = f"/users/{self.objects.session.get_user_id()}/credentials/OS-EC2"
        if delete:
            self.objects.identity.delete(f"{path}/{delete}")
            return {}
        project = {"tenant_id": self.objects.session.get_project_id()}
        return self.objects.identity.post(path, json=project).json()["credential"]

    def _workers(self) -> list[str]:
        return [f"worker-{number}" for number in range(1, self.options.workers + 1)]

    def _existing_workers(self) -> Iterator[str]:
        prefix = self.name("worker-")
        names = [port.name for port in self.network.ports() if port.name.startswith(prefix)]
        return (name.removeprefix(f"{self.options.name}-") for name in sorted(names))

    def _remove_server(self, role: str) -> None:
        if server := self.compute.find_server(self.name(role)):
            self.compute.delete_server(server)
            self.compute.wait_for_delete(server)
        if port := self.network.find_port(self.name(role)):
            self.network.delete_port(port)


def wait_until_ready(gallery: str, seconds: float) -> None:
    """Waits until the gallery has its connections to RabbitMQ and MariaDB."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(gallery + "readyz", timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"{gallery}readyz: {error}")
            time.sleep(1)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("--name", default="oat", help="what all names begin with")
    parser.add_argument("--image", default="oat")
    parser.add_argument("--flavor", default="medium")
    parser.add_argument("--external-network", default="public")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--s3-endpoint", default="", help="where servers reach Swift's S3 API")
    parser.add_argument(
        "--objects-cloud", default=os.environ.get("OS_CLOUD"), help="whose EC2 credentials servers get"
    )
    parser.add_argument("--secrets", default="oat-secrets.json", help="the file that keeps them")
    options = parser.parse_args()
    launcher = Launcher(openstack.connect(), openstack.connect(cloud=options.objects_cloud), options)
    if options.command == "down":
        launcher.down()
    else:
        gallery = launcher.up()
        wait_until_ready(gallery, 300)
        print(gallery)


if __name__ == "__main__":
    main()
