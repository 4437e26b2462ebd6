"""A worker that sleeps as long as an image takes, instead of rendering one.

    python benchmarks/sleeping_worker.py SECONDS [OPTION ...]

`scale.py` starts it, so that broker, tracker and database are what is measured.
"""

import random
import sys
import time

from oat import commands
from oat.rendering import png
from oat.services import Ranges, random_task, worker


def main() -> None:
    """Run the worker's command with another `render_png`."""
    seconds = float(sys.argv.pop(1))
    image = png.render_png(random_task(Ranges(width=(64, 64), height=(64, 64)), random.Random(1)))

    def sleep(_task: object) -> bytes:
        time.sleep(seconds)
        return image

    worker.render_png = sleep  # type: ignore[attr-defined]  # for this process
    commands.worker_main()


if __name__ == "__main__":
    main()
