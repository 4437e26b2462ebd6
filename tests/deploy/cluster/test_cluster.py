"""Three RabbitMQ nodes with quorum queues, ten workers, 2,000 tasks; a node is killed, another one cut off.

All on hosts of their own, which are network namespaces: `make test-cluster`, as root. The moments are random,
the same ones for the same `CHAOS_SEED`.
"""

import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from helpers.cluster import Node
from helpers.network import Network
from helpers.processes import BIN, terminate
from helpers.servers import MariaDB
from helpers.system import System
from helpers.waiting import wait_until

TASKS = 2000
WORKERS = 10
TIMEOUT = 240


class Elsewhere(System):
    """The services on a host of the network, the database reached by its socket from everywhere."""

    def __init__(self, folder, broker_url, database_url, host):
        super().__init__(folder, broker_url, database_url, OAT_RESEND_AFTER="60", OAT_QUEUE_TYPE="quorum")
        self.host = host

    def start(self, command, *arguments):
        log = self.folder / f"{command}-{len(self.processes)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                self.host.inside(BIN / command, *arguments),
                env=self.environment, stdout=file, stderr=file, cwd=self.folder,
            )  # fmt: skip
        process.log = log
        self.processes.append(process)
        return process

    def report(self):
        return json.loads(self.call("oat", "audit", "--json").stdout)

    def call(self, command, *arguments):
        return subprocess.run(
            self.host.inside(BIN / command, *arguments),
            env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


@pytest.fixture
def network():
    if os.getuid() != 0:
        pytest.fail("namespaces need root")
    with Network(4, "rabbitmq") as network:
        yield network


@pytest.fixture
def nodes(network, tmp_path):
    hosts = network.hosts[:3]
    nodes = [Node(host, hosts, tmp_path / f"node{n}") for n, host in enumerate(hosts, 1)]
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            wait_until(lambda n=node: len(n.running()) == 3, "a cluster of three", TIMEOUT)
        done = nodes[0].control("add_vhost", "oat", "--default-queue-type", "quorum")
        assert done.returncode == 0, done.stderr
        done = nodes[0].control("set_permissions", "-p", "oat", "guest", ".*", ".*", ".*")
        assert done.returncode == 0, done.stderr
        yield nodes
    finally:
        for node in nodes:
            node.stop()


@pytest.fixture
def system(network, nodes, tmp_path):
    folder = tmp_path / "mariadb"
    folder.mkdir()
    database = MariaDB(folder).start()
    url = database.database("cluster").replace(f"127.0.0.1:{database.port}", "localhost")
    try:
        broker = "amqp://guest:guest@rabbitmq:5672/oat"
        with Elsewhere(tmp_path, broker, f"{url}?unix_socket={folder / 'socket'}", network.hosts[3]) as system:
            yield system
    finally:
        database.stop()


@pytest.mark.timeout(900)
def test_a_killed_node_and_a_partition_lose_nothing(system, nodes, network):
    seed = os.environ.get("CHAOS_SEED") or str(random.randrange(10**6))
    rng = random.Random(seed)
    killed_at, cut_off_at, cut_off_for = rng.randrange(50, 600), rng.randrange(50, 600), rng.uniform(0, 15)
    other = rng.choice(nodes[1:])
    print(
        f"CHAOS_SEED={seed}: killed at {killed_at}, {other.host.address} cut off at {cut_off_at}, {cut_off_for=}"
    )

    produce_half(system)
    kinds = nodes[0].control("list_queues", "-p", "oat", "name", "type", "--no-table-headers").stdout.split()
    assert dict(zip(kinds[::2], kinds[1::2], strict=True))["tasks"] == "quorum"
    trackers = [system.start("oat-tracker") for _ in range(2)]
    workers = [system.start("oat-worker", "--threads", 1) for _ in range(WORKERS)]

    def wait_for(count):
        wait_until(lambda: done(system) >= count, f"{count} results", TIMEOUT)

    wait_for(killed_at)
    assert done(system) < TASKS / 2, "the tasks are too quick to test anything"
    nodes[0].kill()
    wait_for(TASKS // 2)
    nodes[0].start()
    wait_until(lambda: len(nodes[1].running()) == 3, "the killed node to be back", TIMEOUT)

    produce_half(system)
    wait_for(TASKS // 2 + cut_off_at)
    assert done(system) < TASKS, "the tasks are too quick to test anything"
    network.unplug(other.host)
    wait_until(lambda: not other.running(), "the node that was cut off to pause itself", TIMEOUT)
    time.sleep(cut_off_for)
    network.plug_in(other.host)
    wait_until(lambda: len(other.running()) == 3, "the node that was cut off to be back", TIMEOUT)
    wait_for(TASKS)
    for service in trackers + workers:
        terminate(service)
    system.audit(TASKS)
    seen = [worker for worker in workers if "pushed result" in Path(worker.log).read_text()]
    assert len(seen) == WORKERS
    lost = sum("lost the broker" in service.log.read_text() for service in trackers + workers)
    assert lost == WORKERS + len(trackers), "nobody was connected to the node that was killed"


def produce_half(system):
    producer = system.start(
        "oat-producer", "--one-shot", "--min-tasks", TASKS // 2, "--max-tasks", TASKS // 2,
        "--min-width", 1024, "--max-width", 2048, "--min-height", 1024, "--max-height", 2048,
    )  # fmt: skip
    assert producer.wait(TIMEOUT) == 0, producer.log.read_text()[-3000:]


def done(system):
    return sum(record["status"] == "done" for record in system.records())
