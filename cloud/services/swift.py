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
    for server in _SERVERS:
        cloud.write(f"swift/{server}-server.conf", _server(cloud, server))
        _make_ring(cloud, server)
    # The order matters: s3api turns an S3 request into one of Swift, s3token exchanges its signature for a token.
    cloud.write(
        "swift/proxy-server.conf",
        f"""\
[DEFAULT]
bind_ip = {GATEWAY}
bind_port = {PORTS["swift"]}
user = root
swift_dir = {cloud.etc}/swift
workers = 0
log_address = /dev/null

[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk tempurl authtoken s3api s3token \
keystoneauth slo dlo proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:gatekeeper]
use = egg:swift#gatekeeper

[filter:healthcheck]
use = egg:swift#healthcheck

[filter:cache]
use = egg:swift#memcache
memcache_servers = {LOOPBACK}:{PORTS["memcached"]}

[filter:listing_formats]
use = egg:swift#listing_formats

[filter:bulk]
use = egg:swift#bulk

[filter:tempurl]
use = egg:swift#tempurl

[filter:slo]
use = egg:swift#slo

[filter:dlo]
use = egg:swift#dlo

[filter:s3api]
use = egg:swift#s3api
location = us-east-1

[filter:s3token]
use = egg:swift#s3token
auth_uri = {cloud.url("keystone")}/v3
{cloud.credentials}
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
delay_auth_decision = true
service_type = any
{cloud.credentials}
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member, swiftoperator
""",
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


def _server(cloud: Cloud, server: str) -> str:
    return f"""\
[DEFAULT]
bind_ip = {LOOPBACK}
bind_port = {PORTS[f"swift-{server}"]}
user = root
swift_dir = {cloud.etc}/swift
devices = {cloud.state}/swift
mount_check = false
workers = 0
log_address = /dev/null
disable_fallocate = true
fallocate_reserve = 0

[pipeline:main]
pipeline = healthcheck {server}-server

[app:{server}-server]
use = egg:swift#{server}

[filter:healthcheck]
use = egg:swift#healthcheck
"""


def _make_ring(cloud: Cloud, server: str) -> None:
    """16 partitions (2 to the power of 4), 1 copy, 0 hours between moves of a partition; one device, `disk`."""
    builder = cloud.etc / "swift" / f"{server}.builder"
    if builder.with_suffix(".ring.gz").exists():
        return
    builder.unlink(missing_ok=True)
    device = f"r1z1-{LOOPBACK}:{PORTS[f'swift-{server}']}/disk"
    for command in (["create", "4", "1", "0"], ["add", device, "1"], ["rebalance"]):
        run(cloud, ["swift-ring-builder", str(builder), *command], "swift-ring-builder")
