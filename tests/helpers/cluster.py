"""A RabbitMQ cluster on the hosts of a network."""

import json
import os
import signal
import subprocess

from helpers.servers import RabbitMQ


class Node:
    """A RabbitMQ on a host of its own, in a cluster with those on `hosts`."""

    def __init__(self, host, hosts, folder):
        self.host, self.folder = host, folder
        folder.mkdir()
        names = [f"rabbit@{other.address}" for other in hosts]
        (folder / "rabbitmq.conf").write_text(
            "loopback_users = none\ncluster_partition_handling = pause_minority\n"
            "cluster_formation.peer_discovery_backend = classic_config\n"
            + "".join(f"cluster_formation.classic_config.nodes.{n} = {name}\n" for n, name in enumerate(names, 1))
        )
        (folder / "enabled_plugins").write_text("[].")
        cookie = folder / ".erlang.cookie"
        cookie.write_text("OATTESTCLUSTER")
        cookie.chmod(0o400)
        self.environment = os.environ | {
            "HOME": str(folder),
            "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_NODENAME": f"rabbit@{host.address}",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel net_ticktime 8",  # a lost node is noticed in seconds
        }
        self.process = None

    def start(self):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.host.inside(RabbitMQ.BIN),
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.kill()

    def control(self, *arguments):
        command = self.host.inside(
            RabbitMQ.BIN.with_name("rabbitmqctl"), "--longnames", "--quiet", "--timeout", "20", *arguments
        )
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=60
        )

    def running(self):
        """Return the nodes of the cluster that run, in the eyes of this one; none, if it does not run itself."""
        try:
            done = self.control("cluster_status", "--formatter", "json")
        except subprocess.TimeoutExpired:  # it looks for the others
            return []
        return json.loads(done.stdout)["running_nodes"] if done.returncode == 0 else []
