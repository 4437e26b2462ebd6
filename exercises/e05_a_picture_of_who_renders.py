"""A picture that depends on who renders it

In 2015 the worker itself drew the constant c of the Julia set, when it began to render. A nice
surprise each time. But every message can come twice: a worker is killed, a connection is lost, and
another worker gets the task. It drew another c, and wrote another picture over the first. By then
the record had the checksum of the first one. Which is right? Nobody can say, as no one can render
either of them again.

The check has two workers render the same twelve tasks, one after the other, and compares the files;
then it compares three of them, pixel by pixel, with what the records ask for.

Look at: src/oat/services/worker.py
"""

import io
import shutil
from uuid import UUID

import numpy as np
from PIL import Image

from helpers.mutants import Fault
from helpers.reference import colour, escape_counts
from helpers.system import System
from lab import Harm, Lab, images, message_files, recorded, until

FAULT = Fault.of(
    "services/worker.py",
    ("import hashlib", "import hashlib\nimport random"),
    (
        "from oat.messages import MAX_REASON, InvalidMessageError, Result, Task, parse_task",
        """
        from oat.constant import draw_constant
        from oat.messages import MAX_REASON, InvalidMessageError, Result, Task, parse_task
        """,
    ),
    (
        "image = render_png(task)",
        """
        cx, cy = draw_constant(random.Random(), task.xa, task.xb, task.ya, task.yb)
        image = render_png(task.model_copy(update={"cx": cx, "cy": cy}))
        """,
    ),
)

HINT = """
Rendering must be a function of the task: the same message, the same bytes. Where does something
else come in? The producer has drawn a constant already, and it is in the message and in the record.
"""

SOLUTION = """
Everything that decides the picture is in the task. Chance has its place once, before the record is
written: in the producer (and for a client that sends no constant, in `messages`, with the UUID as
seed). So rendering is idempotent: who does it, how often and where makes no difference, and a
checksum means something.
"""


def check(lab: Lab) -> str:
    """Have two workers render the same tasks."""
    system = lab.system()
    size = ("--max-width", 24, "--max-height", 24, "--max-iterations", 200)
    system.produce(12, *size)
    copies = [(file, shutil.copy(file, lab.folder)) for file in message_files(system, "tasks")]
    first = rendered(system)
    for image in system.images.iterdir():
        image.unlink()
    for file, copy in copies:
        shutil.copy(copy, file)
    second = rendered(system)
    if other := [uuid for uuid in first if first[uuid] != second[uuid]]:
        raise Harm(
            f"{len(other)} of 12 tasks have another picture when another worker renders them. After a redelivery, "
            "the records have the checksums of pictures that are gone."
        )
    if wrong := [uuid for uuid in sorted(first)[:3] if not is_as_asked(system, uuid, first[uuid])]:
        raise Harm(f"{len(wrong)} of 3 pictures are not those that their records ask for: whose constant is it?")
    return "Two workers render the same 12 files from 12 tasks, and they are what the records ask for."


def rendered(system: System) -> dict[str, bytes]:
    """Have one worker render all that is queued, and return the images."""
    worker = system.start("oat-worker")
    until(system, lambda: images(system).keys() == recorded(system), "all images")
    system.stop(worker)
    return images(system)


def is_as_asked(system: System, uuid: str, image: bytes) -> bool:
    """Tell whether `image` has the pixels that plain Python computes from the record."""
    from oat.messages import Task  # noqa: PLC0415 (the tree may not run yet)

    [record] = (record for record in system.records() if record["uuid"] == uuid)
    task = Task(**{name: record[name] for name in Task.model_fields} | {"uuid": UUID(uuid)})
    wanted = np.array([[colour(n) for n in row] for row in escape_counts(task)])
    return bool((np.asarray(Image.open(io.BytesIO(image)).convert("RGB")) == wanted).all())
