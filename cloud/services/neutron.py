"""Neutron, the Networking service: networks, subnets, ports, routers, floating IPs, security groups.

It only keeps what users want; the driver `ovn` of its plugin ML2 writes it into OVN's northbound database.
Networks of users are Geneve tunnels between compute nodes; the one called `public` is flat, which is what br-ex
carries. A security group is a list of what may come in: from a network, or from all servers of another group.
"""

from cloud.processes import Process
from cloud.service import api
from cloud.services import openvswitch
from cloud.settings import GATEWAY, LOOPBACK, PORTS, Cloud

DATABASES: tuple[str, ...] = ("neutron",)


def configure(cloud: Cloud) -> None:
    """Writes neutron.conf, ml2_conf.ini (the driver), metadata_agent.ini."""
    (cloud.state / "neutron").mkdir(parents=True, exist_ok=True)
    ovn = f"""
[ovn]
ovn_nb_connection = {openvswitch.socket(cloud)}
ovn_sb_connection = {openvswitch.socket(cloud)}
"""
    ovs = f"""
[ovs]
ovsdb_connection = {openvswitch.socket(cloud)}
"""
    cloud.write(
        "neutron/neutron.conf",
        f"""\
[DEFAULT]
{cloud.transport}
core_plugin = ml2
service_plugins = ovn-router
state_path = {cloud.state}/neutron
api_paste_config = {cloud.venv}/etc/neutron/api-paste.ini
setproctitle = off
api_workers = 1
rpc_workers = 0

[agent]
root_helper = env

[database]
connection = {cloud.database("neutron")}

[nova]
{cloud.credentials}
[placement]
{cloud.credentials}
[oslo_concurrency]
lock_path = {cloud.run}/lock-neutron
{cloud.messaging}{cloud.keystone_authtoken}""",
    )
    cloud.write(
        "neutron/ml2_conf.ini",
        f"""\
[ml2]
mechanism_drivers = ovn
type_drivers = local,flat,geneve
tenant_network_types = geneve
extension_drivers = port_security

[ml2_type_flat]
flat_networks = public

[ml2_type_geneve]
vni_ranges = 1:1000
max_header_size = 38

[securitygroup]
enable_security_group = true
{ovn}ovn_metadata_enabled = true
enable_distributed_floating_ip = false
# libvirt's LXC driver makes the port's device itself.
ovs_create_tap = false
dns_servers = {GATEWAY}
{ovs}""",
    )
    cloud.write(
        "neutron/metadata_agent.ini",
        f"""\
[DEFAULT]
nova_metadata_host = {LOOPBACK}
nova_metadata_port = {PORTS["nova-metadata"]}
metadata_proxy_shared_secret = {cloud.passwords["metadata_proxy"]}
metadata_workers = 0
state_path = {cloud.state}/neutron

[agent]
# Everything here is root already: "env" runs what sudo would.
root_helper = env
{ovn}{ovs}
[oslo_concurrency]
lock_path = {cloud.run}/lock-neutron-metadata
""",
    )


def migrations(cloud: Cloud) -> list[list[str]]:
    """Its tables."""
    return [["neutron-db-manage", *_configuration(cloud), "upgrade", "heads"]]


def processes(cloud: Cloud) -> list[Process]:
    """The API; what it does from time to time; what mends OVN's database; and the way to Nova's metadata."""
    environment = {
        "OS_NEUTRON_CONFIG_DIR": f"{cloud.etc}/neutron",
        "OS_NEUTRON_CONFIG_FILES": "neutron.conf;ml2_conf.ini",
        "ASGI_WORKERS": "1",  # neutron wants to know how many processes serve the API
    }
    metadata_agent = ["--config-file", f"{cloud.etc}/neutron/metadata_agent.ini"]
    return [
        api(cloud, "neutron", "neutron.wsgi.api", environment=environment),
        Process("neutron-periodic-workers", ["neutron-periodic-workers", *_configuration(cloud)]),
        Process("neutron-ovn-maintenance-worker", ["neutron-ovn-maintenance-worker", *_configuration(cloud)]),
        Process(
            "neutron-ovn-metadata-agent",
            ["neutron-ovn-metadata-agent", "--config-file", f"{cloud.etc}/neutron/neutron.conf", *metadata_agent],
        ),
    ]


def _configuration(cloud: Cloud) -> list[str]:
    folder = f"{cloud.etc}/neutron"
    return ["--config-file", f"{folder}/neutron.conf", "--config-file", f"{folder}/ml2_conf.ini"]
