"""Swift, the Object Storage service: containers of objects, here on one device with one copy of each.

The proxy takes requests, in Swift's own protocol and in Amazon's S3 (s3api), and passes them on to the servers for
accounts, containers and objects. A ring says which device has what; `swift-ring-builder` makes them. Applications
use S3 with EC2 credentials, which Keystone makes: `openstack ec2 credentials create`.
"""

from cloud.processes import Process
from cloud.service import answers, run
from cloud.settings import GATEWAY, LOOPBACK, PORTS, Cloud

DATABASES: tuple[str, ...] = ()
_SERVERS = ("account", "container", "object")


def configure(cloud: Cloud) -> None:
    """Writes swift.conf, the proxy's and the servers' configurations, and the rings."""
    (cloud.state / "swift" / "disk").mkdir(parents=True, exist_ok=True)
    cloud.write(
        "swift/swift.conf",
        f"""\
[swift-hash]
swift_hash_path_suffix = {cloud.passwords["swift_hash"]}

[storage-policy:0]
name = Policy-0
default = yes
""",
    )
    settings = f"""\
devices = {cloud.state}/swift
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
"""
    for server in _SERVERS:
        cloud.write(f"swift/{server}-server.conf", _wsgi(cloud, server, LOOPBACK, settings, {"healthcheck": ""}))
        _make_ring(cloud, server)
    cloud.write("swift/proxy-server.conf", _wsgi(cloud, "proxy", GATEWAY, "", _proxy_filters(cloud)))


def _proxy_filters(cloud: Cloud) -> dict[str, str]:
    """What a request passes on its way in, in this order, each with its settings.

    The order matters: s3api turns an S3 request into one of Swift, s3token exchanges its signature for a token.
    """
    return {
        "catch_errors": "",
        "gatekeeper": "",
        "healthcheck": "",
        "memcache": f"memcache_servers = {LOOPBACK}:{PORTS['memcached']}\n",
        "listing_formats": "",
        "bulk": "",
        "tempurl": "",
        "authtoken": f"delay_auth_decision = true\nservice_type = any\n{cloud.credentials}",
        "s3api": "location = us-east-1\n",
        "s3token": f"auth_uri = {cloud.url('keystone')}/v3\n{cloud.credentials}",
        "keystoneauth": "operator_roles = admin, member, swiftoperator\n",
        "slo": "",
        "dlo": "",
    }


def _wsgi(cloud: Cloud, server: str, address: str, settings: str, filters: dict[str, str]) -> str:
    """The configuration of one of the four servers: where it listens, and the filters before it."""
    port = PORTS["swift" if server == "proxy" else f"swift-{server}"]
    factories = {"authtoken": "paste.filter_factory = keystonemiddleware.auth_token:filter_factory"}
    sections = [
        f"[filter:{name}]\n{factories.get(name, f'use = egg:swift#{name}')}\n{more}"
        for name, more in filters.items()
    ]
    application = f"[app:{server}-server]\nuse = egg:swift#{server}\n"
    if server == "proxy":
        application += "account_autocreate = true\n"
    return "\n".join(
        [
            f"""\
[DEFAULT]
bind_ip = {address}
bind_port = {port}
user = root
swift_dir = {cloud.etc}/swift
workers = 0
log_address = /dev/null
{settings}
[pipeline:main]
pipeline = {" ".join(filters)} {server}-server
""",
            application,
            *sections,
        ]
    )


def migrations(cloud: Cloud) -> list[list[str]]:
    """None: it keeps its records in files of SQLite."""
    return []


def processes(cloud: Cloud) -> list[Process]:
    """The proxy, its cache, the three servers."""
    servers = [
        Process(
            f"swift-{server}",
            [f"swift-{server}-server", f"{cloud.etc}/swift/{server}-server.conf"],
            ready=lambda server=server: answers(cloud.url(f"swift-{server}") + "/healthcheck"),  # type: ignore[misc]
        )
        for server in _SERVERS
    ]
    memcached = ["memcached", "-u", "nobody", "-l", LOOPBACK, "-p", str(PORTS["memcached"]), "-m", "32"]
    return [
        Process("memcached", memcached),
        *servers,
        Process(
            "swift",
            ["swift-proxy-server", f"{cloud.etc}/swift/proxy-server.conf", "--verbose"],
            ready=lambda: answers(cloud.url("swift", GATEWAY) + "/healthcheck"),
        ),
    ]


def _make_ring(cloud: Cloud, server: str) -> None:
    """16 partitions (2 to the power of 4), 1 copy, 0 hours between moves of a partition; one device, `disk`."""
    builder = cloud.etc / "swift" / f"{server}.builder"
    if builder.with_suffix(".ring.gz").exists():
        return
    builder.unlink(missing_ok=True)
    device = f"r1z1-{LOOPBACK}:{PORTS[f'swift-{server}']}/disk"
    for command in (["create", "4", "1", "0"], ["add", device, "1"], ["rebalance"]):
        run(cloud, ["swift-ring-builder", str(builder), *command], "swift-ring-builder")
