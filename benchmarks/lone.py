"""Lone tasks: how long a task takes on an idle system, from its request until its record is done."""

import contextlib
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from running import running

from helpers.waiting import wait_until

POLL_INTERVAL = 0.001
"""Seconds between two looks whether the record is done."""

PAUSE = 0.2, 0.4
"""Seconds between two tasks: longer than any flush interval, and in step with none."""

WARM_UP = 5
"""Tasks before those that count."""

TIMEOUT = 60
"""Seconds until the services have to be ready, and a task done."""


def latencies(
    command: Callable[..., list[str]], environment: dict[str, str], folder: Path, count: int
) -> list[float]:
    """Return the milliseconds of `count` lone tasks beside their rendering.

    A task is requested over the API, as `oat create` does it, of a gallery beside a worker and a tracker.
    The time is from before the request until the record is `done`, as another connection to the database sees it,
    less what the record says about the time of the rendering.

    Args:
        command: returns the words that run a command with options.
        environment: of all processes; without `OAT_DATABASE_URL` they use the embedded default.
        folder: where the logs go, and `XDG_DATA_HOME` of the embedded default.
        count: how many tasks.
    """
    log = folder / "gallery.log"
    with contextlib.ExitStack() as stack:
        for name, *options in (("oat-worker",), ("oat-tracker",), ("oat", "web", "--port", 0)):
            file = log if name == "oat" else folder / "log"
            stack.enter_context(running(command(name, *options), environment, file))
        wait_until(lambda: "the gallery is at" in log.read_text(), "the gallery", TIMEOUT)
        address = re.search(r"the gallery is at +(http://\S+?)/$", log.read_text(), re.MULTILINE)
        assert address, log.read_text()
        client = stack.enter_context(httpx.Client(base_url=address[1], timeout=TIMEOUT))
        wait_until(lambda: client.get("/readyz").is_success, "the gallery", TIMEOUT)
        url = environment.get("OAT_DATABASE_URL") or f"sqlite:///{folder}/oat/oat.db"
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        stack.callback(engine.dispose)
        connection = stack.enter_context(engine.connect())
        measured = [_latency(client, connection) for _ in range(WARM_UP + count)]
    return measured[WARM_UP:]


def _latency(client: httpx.Client, connection: sa.Connection) -> float:
    """Return the milliseconds of one task beside its rendering."""
    query = sa.text("SELECT status, duration FROM fractals WHERE uuid = :uuid")
    time.sleep(random.uniform(*PAUSE))
    started = time.perf_counter()
    uuid = client.post("/v1/fractals", json={"count": 1}).raise_for_status().json()["fractals"][0]["uuid"]
    deadline = started + TIMEOUT
    while True:
        status, duration = connection.execute(query, {"uuid": uuid}).one()
        if status == "done":
            return 1000 * (time.perf_counter() - started - duration)
        if status != "waiting" or time.perf_counter() > deadline:
            raise RuntimeError(f"the task {uuid} is {status}")
        time.sleep(POLL_INTERVAL)
