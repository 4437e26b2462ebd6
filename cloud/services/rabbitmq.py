"""RabbitMQ, over which the processes of one service talk to each other (Nova's API to its scheduler, say).

Between services there is only HTTP. epmd is Erlang's name server; this one is the cloud's own, on a port of its
own.
"""

import socket

from cloud.processes import Process
from cloud.settings import LOOPBACK, PORTS, Cloud

DATABASES: tuple[str, ...] = ()


def configure(cloud: Cloud) -> None:
    """Writes rabbitmq.conf: where to listen, and the user that is made when the node is new."""
    (cloud.state / "rabbitmq").mkdir(parents=True, exist_ok=True)
    cloud.write(
        "rabbitmq/rabbitmq.conf",
        f"""\
listeners.tcp.1 = {LOOPBACK}:{PORTS["rabbitmq"]}
default_user = openstack
default_pass = {cloud.passwords["rabbitmq"]}
log.file = false
log.console = true
log.console.level = warning
""",
    )
    cloud.write("rabbitmq/enabled_plugins", "[].\n")


def migrations(cloud: Cloud) -> list[list[str]]:
    """None."""
    return []


def processes(cloud: Cloud) -> list[Process]:
    """Epmd, and the broker."""
    erlang = {"ERL_EPMD_PORT": str(PORTS["epmd"]), "ERL_EPMD_ADDRESS": LOOPBACK}
    return [
        Process(
            "epmd",
            ["/usr/bin/epmd", "-port", str(PORTS["epmd"]), "-address", LOOPBACK],
            ready=lambda: _listens(PORTS["epmd"]),
        ),
        Process(
            "rabbitmq",
            ["/usr/lib/rabbitmq/bin/rabbitmq-server"],
            environment=erlang
            | {
                "HOME": f"{cloud.state}/rabbitmq",  # of Erlang's cookie
                "RABBITMQ_NODENAME": "oat-cloud@localhost",
                "RABBITMQ_DIST_PORT": str(PORTS["rabbitmq-distribution"]),
                "RABBITMQ_MNESIA_BASE": f"{cloud.state}/rabbitmq",
                "RABBITMQ_LOG_BASE": str(cloud.log),
                "RABBITMQ_CONFIG_FILE": f"{cloud.etc}/rabbitmq/rabbitmq.conf",
                "RABBITMQ_ENABLED_PLUGINS_FILE": f"{cloud.etc}/rabbitmq/enabled_plugins",
                "RABBITMQ_PID_FILE": f"{cloud.run}/rabbitmq.pid",
                # Two schedulers, and no busy waiting: others want the cores. Distribution stays on loopback.
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
                " -kernel inet_dist_use_interface {127,0,0,1}",
            },
            ready=lambda: _listens(PORTS["rabbitmq"]),
            stop_seconds=30,
        ),
    ]


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=2).close()
    except OSError:
        return False
    return True
