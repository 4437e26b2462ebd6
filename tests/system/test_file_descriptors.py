"""Services whose file descriptors are above 1023, as they are in a process with many connections."""

import sys

import psutil

from helpers import http
from helpers.gallery import create
from helpers.waiting import wait_until

INHERITED = 1100

PREFIX = f"""
import os, resource, sys
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096) if hard > 0 else 4096, hard))
for _ in range({INHERITED}):
    os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""A program that runs another one which inherits many file descriptors."""


def test_services_with_more_than_1024_file_descriptors(system, request):
    system.prefix = [sys.executable, "-c", PREFIX]
    services = system.start_services(pause=0.1)
    url = system.gallery()
    system.wait_for(20)
    if system.broker_url:
        request.getfixturevalue("rabbitmq").control("close_all_connections", "a test")
    with http.Client(base_url=url) as api:
        created = {fractal["uuid"] for fractal in create(api, count=5)}
    done = system.counts()["done"]

    def all_done():
        records = [record for record in system.records() if record["status"] == "done"]
        return len(records) > done + 20 and created <= {record["uuid"] for record in records}

    wait_until(all_done, "more images, and those of the gallery")
    for process in system.processes:
        assert process.poll() is None, process.log.read_text()
        assert psutil.Process(process.pid).num_fds() > INHERITED
    system.stop(services["oat-producer"])
    assert system.finish() > 20
