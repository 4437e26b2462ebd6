"""The servers of tiers.yaml without Heat: a call of openstacksdk for each resource; what is there already stays.

Usage, with an entry of clouds.yaml named in OS_CLOUD:
    python launch.py up S3_ENDPOINT [--workers 3]
    python launch.py down
"""

import argparse
import base64
import json
import re
import secrets
import time
import urllib.request
from pathlib import Path
from typing import Any

import openstack

BOOT = Path(__file__).with_name("boot.sh")
SECRETS = Path("oat-secrets.json")  # made by `up`, removed by `down`
NETWORK = "10.20.0"
# Who may connect to which ports of a role's servers; None is the world.
OPEN: dict[str, list[tuple[str | None, int]]] = {
    "producer": [],
    "worker": [],
    "tracker": [(None, 8080)],
    "service": [("producer", 5672), ("worker", 5672), ("tracker", 5672), ("producer", 3306), ("tracker", 3306)],
}


class Launcher:
    """Makes and removes what belongs to the application; all names begin with `oat-`."""

    def __init__(self, objects_cloud: str | None) -> None:
        self.cloud = openstack.connect()
        self.objects = openstack.connect(cloud=objects_cloud) if objects_cloud else self.cloud
        self.credentials = f"/users/{self.objects.session.get_user_id()}/credentials/OS-EC2"

    def make(self, service: str, kind: str, name: str, **properties: Any) -> Any:
        """The resource of this kind and name: found, or created."""
        proxy = getattr(self.cloud, service)
        found = getattr(proxy, f"find_{kind}")(f"oat-{name}")
        return found or getattr(proxy, f"create_{kind}")(name=f"oat-{name}", **properties)

    def up(self, options: argparse.Namespace) -> str:
        """Makes what is missing; the gallery's address."""
        network = self.cloud.network
        outer = network.find_network(options.external_network, ignore_missing=False)
        net = self.make("network", "network", "network")
        subnet = self.make("network", "subnet", "subnet", network_id=net.id, ip_version=4, cidr=f"{NETWORK}.0/24")
        router = self.make("network", "router", "router", external_gateway_info={"network_id": outer.id})
        if not any(network.ports(device_id=router.id, network_id=net.id)):
            network.add_interface_to_router(router, subnet_id=subnet.id)
        groups = self.make_security_groups()
        self.cloud.object_store.create_container(name="oat-images")
        values = self.read_secrets() | {"S3_ENDPOINT": options.s3_endpoint, "TARGET": "s3://oat-images/images"}
        values |= {
            "NETWORK": NETWORK,
            "SOURCE": "",
            "LIMIT": "300",
            "NOTIFY": ":",
        }  # nobody waits for a signal here
        ports = {}
        for name in "service", "tracker", "producer", *(f"worker-{n + 1}" for n in range(options.workers)):
            role = name.partition("-")[0]
            ports[name] = self.make(
                "network", "port", name, network_id=net.id, security_group_ids=[groups[role].id]
            )
            values |= {"ROLE": role, "SERVICE": ports["service"].fixed_ips[0]["ip_address"]}
            self.make_server(name, options, ports[name], values)
        address = next(network.ips(port_id=ports["tracker"].id), None) or network.create_ip(
            floating_network_id=outer.id, port_id=ports["tracker"].id
        )
        return f"http://{address.floating_ip_address}:8080/"

    def make_security_groups(self) -> dict[str, Any]:
        """A group a role, with its rules."""
        groups = {role: self.make("network", "security_group", role) for role in OPEN}
        for role, rules in OPEN.items():
            mine = {"security_group_id": groups[role].id, "direction": "ingress"}
            present = {
                (rule.remote_group_id, rule.port_range_min)
                for rule in self.cloud.network.security_group_rules(**mine)
            }
            for remote, port in rules:
                remote_id = groups[remote].id if remote else None
                if (remote_id, port) not in present:
                    self.cloud.network.create_security_group_rule(
                        **mine, protocol="tcp", port_range_min=port, port_range_max=port, remote_group_id=remote_id
                    )
        return groups

    def make_server(self, name: str, options: argparse.Namespace, port: Any, values: dict[str, str]) -> None:
        """A server that becomes its role at its first boot, by boot.sh."""
        user_data = re.sub("@([A-Z0-9_]+)@", lambda found: values[found[1]], BOOT.read_text())
        self.make(
            "compute",
            "server",
            name,
            image_id=self.cloud.image.find_image(options.image, ignore_missing=False).id,
            flavor_id=self.cloud.compute.find_flavor(options.flavor, ignore_missing=False).id,
            networks=[{"port": port.id}],
            user_data=base64.b64encode(user_data.encode()).decode(),
        )

    def read_secrets(self) -> dict[str, str]:
        """The secrets, made the first time."""
        if not SECRETS.exists():
            project = {"tenant_id": self.objects.session.get_project_id()}
            key = self.objects.identity.post(self.credentials, json=project).json()["credential"]
            made = {"PASSWORD": secrets.token_hex(16), "TOKEN": secrets.token_hex(16)}
            SECRETS.touch(mode=0o600)
            SECRETS.write_text(json.dumps(made | {"S3_ACCESS_KEY": key["access"], "S3_SECRET_KEY": key["secret"]}))
        known: dict[str, str] = json.loads(SECRETS.read_text())
        return known

    def down(self) -> None:
        """Removes everything, servers first."""
        network, compute, store = self.cloud.network, self.cloud.compute, self.cloud.object_store
        servers = [server for server in compute.servers() if server.name.startswith("oat-")]
        for server in servers:
            compute.delete_server(server)
        for server in servers:
            compute.wait_for_delete(server)
        for port in [port for port in network.ports() if port.name.startswith("oat-")]:
            for address in network.ips(port_id=port.id):
                network.delete_ip(address)
            network.delete_port(port)
        router, subnet = network.find_router("oat-router"), network.find_subnet("oat-subnet")
        if router and subnet and any(network.ports(device_id=router.id, network_id=subnet.network_id)):
            network.remove_interface_from_router(router, subnet_id=subnet.id)
        for kind, name in (
            ("router", "router"),
            ("network", "network"),
            *(("security_group", role) for role in reversed(OPEN)),
        ):
            if found := getattr(network, f"find_{kind}")(f"oat-{name}"):
                getattr(network, f"delete_{kind}")(found)
        if any(container.name == "oat-images" for container in store.containers()):
            for item in store.objects("oat-images"):
                store.delete_object(item, container="oat-images")
            store.delete_container("oat-images")
        if SECRETS.exists():
            self.objects.identity.delete(f"{self.credentials}/{self.read_secrets()['S3_ACCESS_KEY']}")
            SECRETS.unlink()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("s3_endpoint", nargs="?", default="", help="where servers reach Swift's S3 API")
    parser.add_argument("--image", default="oat")
    parser.add_argument("--flavor", default="medium")
    parser.add_argument("--external-network", default="public")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--objects-cloud", help="the entry of clouds.yaml whose EC2 credentials the servers get")
    options = parser.parse_args()
    launcher = Launcher(options.objects_cloud)
    if options.command == "down":
        launcher.down()
        return
    gallery = launcher.up(options)
    while True:  # until Ctrl-C
        try:
            urllib.request.urlopen(gallery + "readyz", timeout=5).close()  # noqa: S310 - an address made above
            break
        except OSError:
            time.sleep(1)
    print(gallery)


if __name__ == "__main__":
    main()
