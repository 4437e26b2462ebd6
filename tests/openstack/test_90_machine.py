"""The cloud in this machine: taken up after kill -9 of everything, gone after `make cloud-down`. Runs last."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from openstack.connection import Connection
from traces import processes, traces

from helpers import driver, until


def test_it_is_taken_up_after_kill_9_of_everything_and_leaves_nothing(user: Connection) -> None:
    network = user.network.find_network("public")
    image, flavor = user.image.find_image("debian"), user.compute.find_flavor("tiny")
    server = user.compute.create_server(
        name="survivor", image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network.id}]
    )
    server = user.compute.wait_for_server(server, wait=300)

    for pid in processes():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    driver("up")
    driver("status")
    until("the server", lambda: user.compute.get_server(server.id).power_state == 1)
    until("its system", lambda: "login:" in (user.compute.get_server_console_output(server)["output"] or ""))
    user.compute.delete_server(server)
    user.compute.wait_for_delete(server)

    driver("down")
    before = json.loads(Path(os.environ["OAT_TRACES"]).read_text())
    # Whoever else works on this machine makes devices too, and takes them back.
    until("nothing left", lambda: not difference(traces(), before), seconds=120)


def difference(now: dict[str, list[str]], before: dict[str, list[str]]) -> dict[str, set[str]]:
    """What there is now and was not before."""
    new = {kind: set(now[kind]) - set(before[kind]) for kind in now}
    return {kind: items for kind, items in new.items() if items}
