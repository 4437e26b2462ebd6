"""Nova, the Compute service: makes servers.

nova-api takes the order, nova-conductor carries it out: nova-scheduler picks a compute node (with Placement),
and nova-compute there gets the image from Glance, a port from Neutron, and has libvirt start the server.
nova-metadata tells a server about itself, at 169.254.169.254. A cell is a group of compute nodes with a database
of its own; there is one here, and cell0, for servers that found no node.

The servers are containers that boot an operating system of their own (libvirt's LXC driver), which needs no
hypervisor.
"""

from cloud.processes import Process
from cloud.service import api
from cloud.services import libvirt
from cloud.settings import HOST, LOOPBACK, PORTS, Cloud

DATABASES: tuple[str, ...] = ("nova_api", "nova", "nova_cell0")


def configure(cloud: Cloud) -> None:
    """Writes nova.conf, for all its processes; nova looks for api-paste.ini beside it."""
    (cloud.state / "nova" / "instances").mkdir(parents=True, exist_ok=True)
    cloud.write("nova/api-paste.ini", (cloud.venv / "etc/nova/api-paste.ini").read_text())
    privsep = f"helper_command = {cloud.venv}/bin/privsep-helper --config-file {cloud.etc}/nova/nova.conf"
    cloud.write(
        "nova/nova.conf",
        f"""\
[DEFAULT]
{cloud.transport}
host = {HOST}
my_ip = {LOOPBACK}
state_path = {cloud.state}/nova
compute_driver = libvirt.LibvirtDriver
# A server's disk is a plain copy of the image.
use_cow_images = false
# Servers that ran before the machine went down are started again.
resume_guests_state_on_host_boot = true
sync_power_state_interval = 30
# Many small servers that sleep most of the time.
reserved_host_memory_mb = 512
initial_cpu_allocation_ratio = 16
initial_ram_allocation_ratio = 1.5
initial_disk_allocation_ratio = 10
# A nova-compute that is told to end lingers for three minutes otherwise, and takes requests all the while.
graceful_shutdown_timeout = 3
manager_shutdown_timeout = 3
default_log_levels = oslo.messaging=WARN,sqlalchemy=WARN,amqp=WARN

[api_database]
connection = {cloud.database("nova_api")}

[database]
connection = {cloud.database("nova")}

[conductor]
workers = 1

[scheduler]
workers = 1

[libvirt]
virt_type = lxc
cpu_mode = none
images_type = raw
connection_uri = {libvirt.uri(cloud)}

[vnc]
enabled = false

[glance]
service_type = image
{cloud.credentials}
[placement]
{cloud.credentials}
[neutron]
service_metadata_proxy = true
metadata_proxy_shared_secret = {cloud.passwords["metadata_proxy"]}
{cloud.credentials}
[service_user]
send_service_user_token = true
{cloud.credentials}
[nova_sys_admin]
{privsep}

[vif_plug_ovs_privileged]
{privsep}

[privsep_osbrick]
{privsep}

[os_vif_ovs]
ovsdb_connection = tcp:{LOOPBACK}:{PORTS["ovsdb"]}

[oslo_concurrency]
lock_path = {cloud.run}/lock-nova
{cloud.messaging}{cloud.keystone_authtoken}""",
    )


def migrations(cloud: Cloud) -> list[list[str]]:
    """Its tables, and the two cells."""
    manage = ["nova-manage", "--config-file", f"{cloud.etc}/nova/nova.conf"]
    return [
        [*manage, "api_db", "sync"],
        [*manage, "cell_v2", "map_cell0", "--database_connection", cloud.database("nova_cell0")],
        [*manage, "db", "sync"],
        ["sh", "-c", '"$@" || [ $? = 2 ]', "-", *manage, "cell_v2", "create_cell", "--name=cell1"],  # 2: it exists
    ]


def processes(cloud: Cloud) -> list[Process]:
    """The two APIs, the conductor, the scheduler."""
    environment = {"OS_NOVA_CONFIG_DIR": f"{cloud.etc}/nova"}
    configuration = ["--config-file", f"{cloud.etc}/nova/nova.conf"]
    return [
        api(cloud, "nova", "nova.wsgi.osapi_compute", environment=environment),
        api(cloud, "nova-metadata", "nova.wsgi.metadata", environment=environment, public=False),
        Process("nova-conductor", ["nova-conductor", *configuration]),
        Process("nova-scheduler", ["nova-scheduler", *configuration]),
    ]


def compute(cloud: Cloud) -> Process:
    """nova-compute; it has to see the mounts that libvirt's containers start from."""
    command = ["nova-compute", "--config-file", f"{cloud.etc}/nova/nova.conf"]
    return Process("nova-compute", libvirt.in_mount_namespace(cloud, command))


def discover_hosts(cloud: Cloud) -> list[str]:
    """The command that puts a new compute node into the cell."""
    return ["nova-manage", "--config-file", f"{cloud.etc}/nova/nova.conf", "cell_v2", "discover_hosts"]
