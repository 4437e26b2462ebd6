#!/usr/bin/env python
"""Runs a RabbitMQ cluster of three hosts until Ctrl-C, and MariaDB beside it: for chapter 9, as root.

The hosts are network namespaces with a cable each to one switch. A fourth one, the desk, is for the services. In
other terminals, with ~/oat-cluster/bin in the PATH: `desk COMMAND`, `node N COMMAND` (of rabbitmqctl),
`kill-node N`, `start-node N`, `unplug N` and `plug-in N`.
"""

import argparse
import os
import shlex
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from helpers.cluster import Node
from helpers.network import Network
from helpers.servers import MariaDB, RabbitMQ

FOLDER = Path.home() / "oat-cluster"
POLL_INTERVAL = 0.2
"""Seconds between two looks at what the commands ask for."""


def write_commands(network: Network, nodes: list[Node], database: MariaDB) -> None:
    """Write the commands for other terminals."""
    commands = FOLDER / "bin"
    commands.mkdir()
    url = f"mysql+pymysql://tutorial:secretsecret@localhost/tutorial?unix_socket={database.folder / 'socket'}"
    settings = {
        "OAT_BROKER_URL": "amqp://guest:guest@rabbitmq:5672/oat",
        "OAT_DATABASE_URL": url,
        "OAT_TARGET": FOLDER / "images",
    }
    desk = network.hosts[3].inside("env", *(f"{name}={value}" for name, value in settings.items()))
    texts = {"desk": f'exec {shlex.join(desk)} "$@"'}
    for name in ("control", "kill", "unplug", "plug-in"):
        cases = [f"{number}) {shlex.join(words)}{tail} ;;" for number, words, tail in lines(name, network, nodes)]
        texts[{"control": "node", "kill": "kill-node"}.get(name, name)] = (
            "n=$1; shift; case $n in\n" + "\n".join(cases) + "\nesac"
        )
    texts["start-node"] = f'touch {shlex.quote(str(FOLDER))}/start-"$1"'
    for name, text in texts.items():
        (commands / name).write_text(f"#!/bin/sh\n{text}\n")
        (commands / name).chmod(0o755)


def lines(name: str, network: Network, nodes: list[Node]) -> list[tuple[int, list[str], str]]:
    """Return for each node its number, the words that do `name` to it, and what is added to them."""
    found = []
    for number, node in enumerate(nodes, 1):
        if name == "control":
            own = {key: node.environment[key] for key in node.environment if key.startswith(("HOME", "RABBITMQ_"))}
            program = str(RabbitMQ.BIN.with_name("rabbitmqctl"))
            words = node.host.inside("env", *(f"{key}={value}" for key, value in own.items()), program)
            found.append((number, [*words, "--longnames", "--quiet", "--timeout", "20"], ' "$@"'))
        elif name == "kill":
            found.append((number, ["ip", "netns", "pids", node.host.namespace], " | xargs kill -9"))
        else:
            state = "down" if name == "unplug" else "up"
            found.append((number, ["ip", "-n", network.switch, "link", "set", f"port{number}", state], ""))
    return found


def run(network: Network, nodes: list[Node], database: MariaDB) -> None:
    """Form the cluster, and run it until Ctrl-C."""
    for node in nodes:
        node.start()
    while not all(len(node.running()) == len(nodes) for node in nodes):
        time.sleep(POLL_INTERVAL)
    nodes[0].control("add_vhost", "oat", "--default-queue-type", "quorum")
    nodes[0].control("set_permissions", "-p", "oat", "guest", ".*", ".*", ".*")
    database.start()
    write_commands(network, nodes, database)
    for number, node in enumerate(nodes, 1):
        print(f"node {number} of RabbitMQ runs at {node.host.address}")
    print("Ready; Ctrl-C stops it. In other terminals: export PATH=~/oat-cluster/bin:$PATH", flush=True)
    while True:
        for number, node in enumerate(nodes, 1):
            if (wanted := FOLDER / f"start-{number}").exists():
                node.start()
                wanted.unlink()
        time.sleep(POLL_INTERVAL)


def main() -> None:
    """Run it, and leave nothing behind."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if os.getuid() != 0:
        sys.exit("Network namespaces need root: sudo .venv/bin/python docs/tutorial/cluster.py")
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "mariadb").mkdir(parents=True)
    database = MariaDB(FOLDER / "mariadb")
    with Network(4, "rabbitmq") as network:
        nodes = [Node(host, network.hosts[:3], FOLDER / f"node{n}") for n, host in enumerate(network.hosts[:3], 1)]
        try:
            run(network, nodes, database)
        except KeyboardInterrupt:
            pass
        finally:
            for node in nodes:
                node.stop()
            database.stop()


if __name__ == "__main__":
    main()
