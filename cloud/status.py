"""`make cloud-status`: what runs of the cloud, and whether it answers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from cloud.processes import Supervisor
from cloud.settings import Cloud
from cloud.up import all_processes


def status(cloud: Cloud, as_json: bool) -> int:
    """Prints a line for each process; 0 if all run and answer, 3 (as systemd has it) if none runs, else 1."""
    records = Supervisor(cloud).records()
    rows: list[dict[str, Any]] = []
    for process in all_processes(cloud):
        record = records.get(process.name)
        running = record is not None and record.alive
        rows.append(
            {
                "name": process.name,
                "state": ("up" if process.ready() else "no answer") if running else "down",
                "pid": record.pid if record and running else None,
                "seconds": round(time.time() - record.started_at) if record and running else None,
                "mebibytes": sum(map(_memory, record.members())) >> 20 if record and running else None,
                "log": str(cloud.log / f"{process.name}.log"),
            }
        )
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        print(f"{'':32} {'state':10} {'pid':>8} {'seconds':>8} {'MiB':>5}")
        for row in rows:
            cells = [
                row[key] if row[key] is not None else ""
                for key in ("name", "state", "pid", "seconds", "mebibytes")
            ]
            print("{:32} {:10} {:>8} {:>8} {:>5}".format(*cells))
        print(f"{'':60} {sum(row['mebibytes'] or 0 for row in rows):>5}")
    states = {row["state"] for row in rows}
    return 0 if states == {"up"} else 3 if states == {"down"} else 1


def _memory(pid: int) -> int:
    """Proportional set size in bytes: pages shared with others count in part."""
    try:
        lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) << 10
