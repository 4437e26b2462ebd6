"""Open vSwitch and OVN, which carry the packets.

Neutron writes what users want (networks, routers, floating IPs, security groups) into OVN's northbound database.
ovn-northd translates it to logical flows in the southbound database, ovn-controller these to OpenFlow rules, and
ovs-vswitchd applies the rules to each packet. `ovn-nbctl show` and `ovs-vsctl show` let you look at both ends.

The bridge br-int has the servers' ports, br-ex is the way out: this machine's address on it is the gateway of
the network `public`. Packets take Open vSwitch's user-space datapath (netdev), which needs nothing of the kernel
but TAP.
"""

from cloud.processes import Process
from cloud.progress import wait_for
from cloud.service import run, succeeds
from cloud.settings import GATEWAY, HOST, LOOPBACK, OUTER_NETWORK, PORTS, Cloud

DATABASES: tuple[str, ...] = ()
BRIDGES = ("br-ex", "br-int", "ovs-netdev")  # the TAP devices that ovs-vswitchd makes in this machine


def configure(cloud: Cloud) -> None:
    """Makes the three databases, or brings them to this version's schema."""
    folder = cloud.state / "ovs"
    folder.mkdir(parents=True, exist_ok=True)
    (cloud.run / "ovs").mkdir(parents=True, exist_ok=True)
    for database, schema in _databases(cloud).items():
        file = folder / f"{database}.db"
        if not file.exists():
            run(cloud, ["ovsdb-tool", "create", str(file), schema], "ovsdb-tool")
        elif run(cloud, ["ovsdb-tool", "needs-conversion", str(file), schema], "ovsdb-tool").strip() == "yes":
            run(cloud, ["ovsdb-tool", "convert", str(file), schema], "ovsdb-tool")


def migrations(cloud: Cloud) -> list[list[str]]:
    """None in MariaDB."""
    return []


def processes(cloud: Cloud) -> list[Process]:
    """ovsdb-server for all three databases, the switch; `connect` starts OVN's two behind them."""
    run_folder = cloud.run / "ovs"
    return [
        Process(
            "ovsdb-server",
            [
                "ovsdb-server",
                f"--remote=punix:{run_folder}/db.sock",
                f"--remote=ptcp:{PORTS['ovsdb']}:{LOOPBACK}",
                f"--unixctl={run_folder}/ovsdb-server.ctl",
                *[f"{cloud.state}/ovs/{database}.db" for database in _databases(cloud)],
            ],
            ready=lambda: succeeds(cloud, "ovs-vsctl", "--timeout=5", "--no-wait", "init"),
        ),
        Process(
            "ovs-vswitchd",
            ["ovs-vswitchd", f"--unixctl={run_folder}/ovs-vswitchd.ctl", socket(cloud)],
            ready=lambda: succeeds(cloud, "ovs-appctl", "--target", f"{run_folder}/ovs-vswitchd.ctl", "version"),
        ),
    ]


def ovn_processes(cloud: Cloud) -> list[Process]:
    """OVN's translator and its controller."""
    run_folder = cloud.run / "ovs"
    return [
        Process(
            "ovn-northd",
            [
                "ovn-northd",
                f"--ovnnb-db={socket(cloud)}",
                f"--ovnsb-db={socket(cloud)}",
                f"--unixctl={run_folder}/ovn-northd.ctl",
            ],
        ),
        Process(
            "ovn-controller",
            ["ovn-controller", f"--unixctl={run_folder}/ovn-controller.ctl", socket(cloud)],
            ready=lambda: succeeds(cloud, "ovn-appctl", "--target", f"{run_folder}/ovn-controller.ctl", "version"),
        ),
    ]


def socket(cloud: Cloud) -> str:
    """Where ovsdb-server listens."""
    return f"unix:{cloud.run}/ovs/db.sock"


def tell_the_chassis(cloud: Cloud) -> None:
    """Tells this machine's Open vSwitch where OVN is, and which bridge leads out. Before ovs-vswitchd starts."""
    external_ids = {
        "system-id": HOST,
        "hostname": HOST,
        "ovn-remote": socket(cloud),
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": LOOPBACK,
        "ovn-bridge-datapath-type": "netdev",
        "ovn-bridge-mappings": "public:br-ex",
        "ovn-cms-options": "enable-chassis-as-gw",
    }
    settings = [f"external_ids:{key}={value}" for key, value in external_ids.items()]
    _vsctl(cloud, "--no-wait", "set", "Open_vSwitch", ".", *settings)


def make_bridges(cloud: Cloud) -> None:
    """Makes both bridges, and gives this machine its address on the outer one. May be run again at any time."""
    netdev = ["datapath_type=netdev"]
    inner = [*netdev, "fail-mode=secure", "other_config:disable-in-band=true"]
    _vsctl(cloud, "--may-exist", "add-br", "br-int", "--", "set", "bridge", "br-int", *inner)
    _vsctl(cloud, "--may-exist", "add-br", "br-ex", "--", "set", "bridge", "br-ex", *netdev)
    # With a database of an earlier run add-br does not wait for ovs-vswitchd, which makes the device anew.
    wait_for("br-ex", lambda: _vsctl(cloud, "get", "interface", "br-ex", "ofport") == "65534", 30)
    prefix = OUTER_NETWORK.partition("/")[2]
    run(cloud, ["ip", "address", "replace", f"{GATEWAY}/{prefix}", "dev", "br-ex"], "ip")
    run(cloud, ["ip", "link", "set", "br-ex", "up"], "ip")


def delete_bridges(cloud: Cloud) -> None:
    """Has ovs-vswitchd take its devices back; `make_bridges` makes them anew."""
    for bridge in "br-ex", "br-int":
        succeeds(cloud, "ovs-vsctl", "--timeout=10", "--if-exists", "del-br", bridge)


def remove_devices(cloud: Cloud) -> None:
    """Takes back what is left in this machine when ovs-vswitchd was killed."""
    for device in BRIDGES:
        if succeeds(cloud, "ip", "link", "show", device):
            succeeds(cloud, "ip", "link", "delete", device)


def _databases(cloud: Cloud) -> dict[str, str]:
    """The file of each database, and of its schema: the switch's, OVN's northbound and southbound."""
    return {
        "conf": f"{cloud.switch}/usr/share/openvswitch/vswitch.ovsschema",
        "ovnnb": f"{cloud.switch}/usr/share/ovn/ovn-nb.ovsschema",
        "ovnsb": f"{cloud.switch}/usr/share/ovn/ovn-sb.ovsschema",
    }


def _vsctl(cloud: Cloud, *arguments: str) -> str:
    return run(cloud, ["ovs-vsctl", "--timeout=30", *arguments], "ovs-vsctl").strip()
