#!/usr/bin/env python
"""Runs servers of your own in this terminal until Ctrl-C: RabbitMQ and MariaDB, or those that you name.

They listen on the loopback, at their usual ports, and keep what they have in ~/oat-servers, where NAME.pid has the
process ID of each. Nothing is installed, or started as a service of the system. In other terminals,
`source ~/oat-servers/env` tells `oat` where they are, and where to keep images beside what they have, and brings
`rabbitmqctl` and `mariadb` for them.
"""

import argparse
import shlex
import signal
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from helpers.servers import MariaDB, MissingError, RabbitMQ, SeaweedFS, Server

FOLDER = Path.home() / "oat-servers"
USER, PASSWORD = "tutorial", "secretsecret"
LOGIN = f"user {USER}, password {PASSWORD}"

PORTS = {"rabbitmq": 5672, "mariadb": 3306, "seaweedfs": 8333}
MANAGEMENT_PORT = 15672
TELL = {
    "rabbitmq": f"RabbitMQ  at 127.0.0.1:5672, its page at http://127.0.0.1:15672/ ({LOGIN})",
    "mariadb": f"MariaDB   at 127.0.0.1:3306, database tutorial ({LOGIN})",
    "seaweedfs": f"SeaweedFS at http://127.0.0.1:8333, bucket tutorial (key {USER}, secret {PASSWORD})",
}
SERVICES = {"rabbitmq": "rabbitmq-server", "mariadb": "mariadb"}
"""What Debian calls the services of the system at the same ports."""

HEARTBEAT = 60
"""Seconds; RabbitMQ's own default."""

POLL_INTERVAL = 0.2
"""Seconds between two looks whether the servers are still there."""


def make(name: str) -> Server:
    """Return the server of that name, not yet started."""
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    if name == "mariadb":
        return MariaDB(folder, PORTS[name])
    if name == "seaweedfs":
        return SeaweedFS(folder, PORTS[name])
    page = ("management.tcp.ip = 127.0.0.1", f"management.tcp.port = {MANAGEMENT_PORT}")
    options = (*page, f"default_user = {USER}", f"default_pass = {PASSWORD}")
    return RabbitMQ(folder, PORTS[name], options=options, plugins=("rabbitmq_management",), heartbeat=HEARTBEAT)


def write_environment(servers: dict[str, Server]) -> None:
    """Write what other terminals source, the commands for these servers, and their process IDs."""
    commands = FOLDER / "bin"
    commands.mkdir(exist_ok=True)
    address = f"{USER}:{PASSWORD}@127.0.0.1"
    (FOLDER / "env").write_text(
        f"export OAT_BROKER_URL=amqp://{address}:{PORTS['rabbitmq']}/\n"
        f"export OAT_DATABASE_URL=mysql+pymysql://{address}/tutorial\n"
        f"export OAT_TARGET={shlex.quote(str(FOLDER / 'images'))}\n"
        f"export PATH={shlex.quote(str(commands))}:$PATH\n"
    )
    for name, server in servers.items():
        (FOLDER / f"{name}.pid").write_text(f"{server.pid}\n")
    if isinstance(rabbitmq := servers.get("rabbitmq"), RabbitMQ):
        own = {
            name: value for name, value in rabbitmq.environment.items() if name.startswith(("RABBITMQ_", "ERL_"))
        }
        # Where the server is down, rabbitmqctl leaves a port mapper behind; one that a server uses refuses to end.
        control = shlex.quote(str(rabbitmq.BIN.with_name("rabbitmqctl")))
        ended = f'{control} "$@" || {{ code=$?; epmd -kill >/dev/null 2>&1; exit $code; }}'
        write_command(commands / "rabbitmqctl", ended, HOME=str(rabbitmq.folder), **own)
    if "mariadb" in servers:
        login = ["-h", "127.0.0.1", "-u", USER, f"-p{PASSWORD}", "tutorial"]
        write_command(
            commands / "mariadb", f'exec {shlex.join(["/usr/bin/mariadb", "--no-defaults", *login])} "$@"'
        )


def write_command(path: Path, line: str, **variables: str) -> None:
    """Write a command: a line of the shell, and variables of its environment."""
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    path.write_text(f"#!/bin/sh\n{exports}{line}\n")
    path.chmod(0o755)


def why_taken(name: str) -> str | None:
    """Return what is in the way of a server: somebody listens on a port of its; None, if nobody does."""
    for port in (PORTS[name], *([MANAGEMENT_PORT] if name == "rabbitmq" else [])):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                service = SERVICES.get(name)
                stop = f", or a service of the system (systemctl stop {service})" if service else ""
                return f"Port {port} is taken: by servers.py in another terminal{stop}? ss -ltnp shows by whom"
    return None


def run(names: list[str]) -> str | None:
    """Run the servers until Ctrl-C, or until one ends by itself: then return which."""
    servers: dict[str, Server] = {}
    try:
        for name in names:
            if reason := why_taken(name):
                return reason
            server = servers[name] = make(name)
            try:
                server.start()
            except MissingError as missing:
                return f"{missing} is not installed: tests/install-servers and make .venv/develop bring it"
            except RuntimeError:
                return f"{name} did not start; {server.folder} has its logs"
            print(TELL[name], flush=True)
        write_environment(servers)
        others = " In other terminals: source ~/oat-servers/env" if names != ["seaweedfs"] else ""
        print(f"Ready; Ctrl-C stops it.{others}", flush=True)
        while True:
            for name, server in servers.items():
                if server.process and server.process.poll() is not None:
                    return f"{name} has ended"
            time.sleep(POLL_INTERVAL)
    except KeyboardInterrupt:
        return None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for server in servers.values():
            if server.process:
                server.stop()


def main() -> None:
    """Parse the command line, and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "servers", nargs="*", help="rabbitmq, mariadb, seaweedfs; rabbitmq and mariadb, if none is named"
    )
    names = parser.parse_args().servers or ["rabbitmq", "mariadb"]
    for name in names:
        if name not in PORTS:
            parser.error(f"there is no {name}; there are {', '.join(PORTS)}")
    sys.exit(run(names))


if __name__ == "__main__":
    main()
