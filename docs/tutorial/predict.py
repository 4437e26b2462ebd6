"""Predicts how many images a second more workers make, from what one image took here: for chapter 5.

The cost of a picture is the average of the last records in `OAT_DATABASE_URL`; those of the other parts are the
measured ones of docs/explanation/scaling.md (`make simulation` measures them all on this machine).
"""

import os
import sys
from pathlib import Path

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from model import Costs, simulate

OTHERS = {"connection": 0.2, "broker": 0.3, "tracker": 0.3, "database": 0.2}
"""Milliseconds of a core for each image."""

LAST = 200
"""Records that count."""


def average() -> float:
    """Return the milliseconds that a worker took for one of the last images."""
    query = (
        "SELECT AVG(duration) FROM (SELECT duration FROM fractals ORDER BY finished_at DESC LIMIT :last) AS last"
    )
    with sa.create_engine(os.environ["OAT_DATABASE_URL"]).connect() as connection:
        return float(connection.execute(sa.text(query), {"last": LAST}).scalar_one()) * 1000


def main() -> None:
    """Print the prediction."""
    cores, picture = os.cpu_count() or 1, average()
    costs = Costs(render=picture, store=0, rest=0, broker_publish=0, database_record=0, **OTHERS)
    print(f"An image takes {picture:.1f} ms of a worker; {OTHERS['tracker']} ms of the tracker.")
    for workers in (1, 2, 4):
        print(f"{workers} worker(s) on {cores} cores: {simulate(costs, workers, cores):.1f} images a second")
    for workers in (10, 100, 1000):
        images = workers * 1000 / (picture + OTHERS["connection"])
        busy = ", ".join(
            f"{name} {images * OTHERS[name] / 1000:.1f}" for name in ("tracker", "broker", "database")
        )
        print(f"{workers} workers, each on its own core: {images:.1f} images a second keep busy, in cores: {busy}")


if __name__ == "__main__":
    main()
