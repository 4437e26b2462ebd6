"""The files of some tasks, by their SHA-256: the same on every machine.

A change of these sums is a change of the files of all users: it goes into CHANGELOG.md. The module is a program
too, for emulated processors that have the renderer only: it fails if a file has another sum.
"""

import hashlib
import platform
import sys
from typing import Any
from uuid import UUID

from oat.messages import Task
from oat.rendering import render_png
from oat.rendering.machine_code import cpu_features


def task(**changes: Any) -> Task:
    parameters: dict[str, Any] = dict(uuid=UUID(int=1), width=37, height=23, iterations=60)
    parameters |= dict(xa=-2.0, xb=2.0, ya=-1.5, yb=1.5, cx=-0.7, cy=0.3)
    return Task(**parameters | changes)


GOLDEN: dict[str, tuple[Task, str]] = {
    "the constant of the text": (
        task(width=512, height=512, iterations=256, cx=-0.8, cy=0.156),
        "bbdab762e3822d68dd6295c45dc7451b642415b4021e8caf1cb7f4c061cdcb60",
    ),
    "inside": (
        task(width=200, height=150, iterations=100, cx=0.0, cy=0.0),
        "9fbfa5fd70e6574af34aade0a2caf6840e2225c65fb4b96ae498d502338edebb",
    ),
    "dust": (
        task(width=300, height=200, iterations=256, cx=0.7, cy=0.7),
        "6418a4a740df782ee54ddfc77581f0c72f786d00e444eb1f08112c10470c17bc",
    ),
    "a constant whose orbits may return": (
        task(width=150, height=100, iterations=300, cx=-1.9, cy=0.8),
        "16870e7566bb559b92bfa9d31dfa739820359abf5e641182141b67864c78e0d9",
    ),
    "many iterations": (
        task(width=160, height=120, iterations=5000, cx=-0.123, cy=0.745),
        "3a98d1a7617fc6e9cc40c3ab1c72753e9682db7801019cd2e08cacdc18efe055",
    ),
    "few iterations": (
        task(width=160, height=120, iterations=3),
        "d3888c123a0a2782923b1e62cda069cdd2a98df8782cd675397672322811b0d4",
    ),
    "a small viewport": (
        task(width=256, height=256, xa=-0.0101, xb=-0.01, ya=0.02, yb=0.0201, iterations=900),
        "7287fc810bf915cc6dc55878bbedd3038f58df53bf259ad1a62663081e485ae4",
    ),
    "beyond doubles": (
        task(width=64, height=64, xa=-1e308, xb=1e308),
        "59b52c1b9fb436b8317e58aacd4bf5043b4788eb9e2425dbd8b4eb36b7926e44",
    ),
    "one column": (task(width=2, height=700), "e53bbe20adbd75014ed40019a1ea0b13c6022983ecd92dc787673d0dddad7b78"),
    "one row": (task(width=9001, height=2), "e4c57590226d9cfb6739da8f6b4a5c06d93ff824be1b3efa221ef3fa20585fa2"),
    "odd": (
        task(width=257, height=129, iterations=256, cx=-0.4, cy=0.6),
        "36a1738e8432a93220ffa97a5e20bd0945ba01adf12a753e94a486190292b293",
    ),
    "noise": (
        task(width=333, height=222, iterations=100_000, cx=-0.75, cy=0.01, xa=-0.3, xb=0.3),
        "732035fc3af23ab47b0f616783a2b6f4bab091740bdbe253386e85e561ccdd41",
    ),
}


def wrong() -> list[str]:
    """Return the tasks whose files have other sums in this process."""
    return [f"{name}: {found}" for name, (it, sum_) in GOLDEN.items() if (found := sha256(it)) != sum_]


def sha256(it: Task) -> str:
    return hashlib.sha256(render_png(it)).hexdigest()


if __name__ == "__main__":
    print(f"{len(GOLDEN)} files on {platform.machine()} with {' '.join(sorted(cpu_features()))}")
    sys.exit("\n".join(wrong()) or None)
