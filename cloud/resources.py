"""What an operator gives the cloud's users: the outer network, flavors, quotas, images.

Run inside the virtual environment:

    python -m cloud.resources                       # network, flavors, quotas
    python -m cloud.resources IMAGE FILE            # puts a file into Glance, in place of an image of that name

May be run again at any time.
"""

import sys
from pathlib import Path

from openstack.connection import Connection

from cloud.identity import connect
from cloud.settings import FLOATING_RANGE, GATEWAY, OUTER_NETWORK, Cloud

_FLAVORS = {"tiny": (256, 1), "small": (512, 1), "medium": (1024, 1), "large": (2048, 2)}  # MiB of memory, cores
_DISK = 4  # GiB; containers are not held to it, but an image has to fit


def make(connection: Connection) -> None:
    """Makes network, flavors and quotas."""
    network = connection.network.find_network("public") or connection.network.create_network(
        name="public",
        is_router_external=True,
        is_shared=True,
        provider_network_type="flat",
        provider_physical_network="public",
        mtu=1500,
    )
    if not connection.network.find_subnet("public"):
        connection.network.create_subnet(
            name="public",
            network_id=network.id,
            ip_version=4,
            cidr=OUTER_NETWORK,
            gateway_ip=GATEWAY,
            allocation_pools=[dict(zip(("start", "end"), FLOATING_RANGE, strict=True))],
            dns_nameservers=[GATEWAY],
        )
    for name, (ram, vcpus) in _FLAVORS.items():
        if not connection.compute.find_flavor(name):
            connection.compute.create_flavor(name=name, ram=ram, vcpus=vcpus, disk=_DISK, is_public=True)
    connection.set_compute_quotas("tutorial", instances=40, cores=80, ram=40_000)  # the default is 10 servers
    connection.set_network_quotas("tutorial", security_group=100, security_group_rule=500)  # and 10 groups


def upload(connection: Connection, name: str, file: Path) -> None:
    """Puts a file system into Glance for everyone; older images of that name go when the new one is there."""
    old = list(connection.image.images(name=name))
    connection.create_image(
        name,
        filename=str(file),
        disk_format="raw",
        container_format="bare",
        visibility="public",
        os_shutdown_timeout="60",  # seconds a server gets to stop in; a worker finishes its image meanwhile
        wait=True,
        allow_duplicates=True,
    )
    for image in old:
        connection.image.delete_image(image)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        upload(connect(Cloud()), sys.argv[1], Path(sys.argv[2]))
    else:
        make(connect(Cloud()))
