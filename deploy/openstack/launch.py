"""The servers of tiers.yaml without Heat: a call of openstacksdk for each resource; what is there already stays.

OS_CLOUD names an entry of clouds.yaml, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are what the
servers keep images with:

    python launch.py up [--workers 3]
    python launch.py down
"""

import argparse
import base64
import os
import secrets
import time
import urllib.request
from pathlib import Path
from typing import Any

import openstack

BOOT = Path(__file__).with_name("boot.sh")
SECRETS = Path("oat-secrets")  # password and token, made by `up` and removed by `down`
NAME = "launched"  # what all names begin with, so that `down` takes nothing else
NETWORK = "10.20.0"
AWS = "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"
# Who may connect to which ports of a role's servers; None is the world.
OPEN: dict[str, list[tuple[str | None, int]]] = {
    "producer": [],
    "worker": [],
    "tracker": [(None, 8080)],
    "service": [("producer", 5672), ("worker", 5672), ("tracker", 5672), ("producer", 3306), ("tracker", 3306)],
}
cloud = openstack.connect()


def make(service: str, kind: str, name: str, **properties: Any) -> Any:
    """The resource of this kind and name: found, or created."""
    proxy = getattr(cloud, service)
    found = getattr(proxy, f"find_{kind}")(f"{NAME}-{name}")
    return found or getattr(proxy, f"create_{kind}")(name=f"{NAME}-{name}", **properties)


def up(options: argparse.Namespace) -> str:
    """Makes what is missing; the gallery's address."""
    outer = cloud.network.find_network(options.external_network, ignore_missing=False)
    network = make("network", "network", "network")
    subnet = make("network", "subnet", "subnet", network_id=network.id, ip_version=4, cidr=f"{NETWORK}.0/24")
    router = make("network", "router", "router", external_gateway_info={"network_id": outer.id})
    if not any(cloud.network.ports(device_id=router.id, network_id=network.id)):
        cloud.network.add_interface_to_router(router, subnet_id=subnet.id)
    groups = make_security_groups()
    cloud.object_store.create_container(name=f"{NAME}-images")
    image = cloud.image.find_image(options.image, ignore_missing=False)
    flavor = cloud.compute.find_flavor(options.flavor, ignore_missing=False)
    ports: dict[str, Any] = {}
    for name in "service", "tracker", "producer", *(f"worker-{number + 1}" for number in range(options.workers)):
        role = name.partition("-")[0]
        group = groups[role].id
        ports[name] = make("network", "port", name, network_id=network.id, security_group_ids=[group])
        user_data = boot(role, ports["service"].fixed_ips[0]["ip_address"])
        make(
            "compute",
            "server",
            name,
            image_id=image.id,
            flavor_id=flavor.id,
            networks=[{"port": ports[name].id}],
            user_data=base64.b64encode(user_data.encode()).decode(),
        )
    address = next(cloud.network.ips(port_id=ports["tracker"].id), None) or cloud.network.create_ip(
        floating_network_id=outer.id, port_id=ports["tracker"].id
    )
    return f"http://{address.floating_ip_address}:8080/"


def make_security_groups() -> dict[str, Any]:
    """A group a role, with its rules."""
    groups = {role: make("network", "security_group", role) for role in OPEN}
    for role, rules in OPEN.items():
        mine = {"security_group_id": groups[role].id, "direction": "ingress"}
        known = [
            (rule.remote_group_id, rule.port_range_min) for rule in cloud.network.security_group_rules(**mine)
        ]
        for remote, port in rules:
            rule = {"remote_group_id": groups[remote].id if remote else None, "port_range_min": port}
            if (rule["remote_group_id"], port) not in known:
                cloud.network.create_security_group_rule(**mine, **rule, port_range_max=port, protocol="tcp")
    return groups


def boot(role: str, service: str) -> str:
    """boot.sh for a server; nobody waits for its signal here."""
    if not SECRETS.exists():
        SECRETS.touch(mode=0o600)
        SECRETS.write_text(f"OAT_PASSWORD={secrets.token_hex(16)} OAT_API_TOKEN={secrets.token_hex(16)}\n")
    settings = f"service={service} network={NETWORK} target=s3://{NAME}-images/images source= limit=300\n"
    settings += SECRETS.read_text() + " ".join(f"{name}='{os.environ[name]}'" for name in AWS)
    return BOOT.read_text().replace("@ROLE@", role).replace("@NOTIFY@", ":").replace("@SETTINGS@", settings)


def down() -> None:
    """Removes everything, servers first."""
    for server in [server for server in cloud.compute.servers() if server.name.startswith(f"{NAME}-")]:
        cloud.compute.delete_server(server)
        cloud.compute.wait_for_delete(server)
    network = cloud.network
    for port in [port for port in network.ports() if port.name.startswith(f"{NAME}-")]:
        for address in network.ips(port_id=port.id):
            network.delete_ip(address)
        network.delete_port(port)
    router, subnet = network.find_router(f"{NAME}-router"), network.find_subnet(f"{NAME}-subnet")
    if router and subnet and any(network.ports(device_id=router.id, network_id=subnet.network_id)):
        network.remove_interface_from_router(router, subnet_id=subnet.id)
    groups = [
        ("security_group", role) for role in reversed(OPEN)
    ]  # the one whose rules name the others goes first
    for kind, name in ("router", "router"), ("network", "network"), *groups:
        if found := getattr(network, f"find_{kind}")(f"{NAME}-{name}"):
            getattr(network, f"delete_{kind}")(found)
    if any(container.name == f"{NAME}-images" for container in cloud.object_store.containers()):
        for item in cloud.object_store.objects(f"{NAME}-images"):
            cloud.object_store.delete_object(item, container=f"{NAME}-images")
        cloud.object_store.delete_container(f"{NAME}-images")
    SECRETS.unlink(missing_ok=True)


def wait_until_ready(gallery: str) -> None:
    """Waits until the gallery has its connections to RabbitMQ and MariaDB, or for Ctrl-C."""
    while True:
        try:
            return urllib.request.urlopen(gallery + "readyz", timeout=5).close()  # noqa: S310 - an address made above
        except OSError:
            time.sleep(1)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["up", "down"])
    for option, default in ("image", "oat"), ("flavor", "medium"), ("external-network", "public"), ("workers", 1):
        parser.add_argument(f"--{option}", default=default, type=type(default))
    options = parser.parse_args()
    if options.command == "down":
        return down()
    wait_until_ready(gallery := up(options))
    return print(gallery)


if __name__ == "__main__":
    main()
