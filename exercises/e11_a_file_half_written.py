"""A file seen half written

The worker wrote the image straight into its file. Whoever looks meanwhile, a browser, a backup,
another worker, sees the upper half of a picture, or a file of no bytes. And if the worker is
killed, or the disk is full in the middle, half an image stays under the name of a whole one, for
good. Its name says that it is done.

The check gives a worker a disk that is full after 16 KiB, and looks at what is under the names of
images. Then there is space again, and the kernel tells it (inotify) of every file that is written
to while it has the name of an image.

Look at: src/oat/storage/directory.py
"""

import resource
from uuid import uuid4

from helpers.mutants import Fault
from helpers.tasks import task
from lab import IN_MODIFY, Harm, Lab, images, until, until_logged, watch

FAULT = Fault.of(
    "storage/directory.py",
    ("self._folder.write({name: content})", "(self.path / name).write_bytes(content)"),
    after="    def put",
)

HINT = """
A name can be given to a file that is already complete: `os.replace` does it in one step that nobody
can see half of. `DurableFolder.write` has more to say about it.
"""

SOLUTION = """
Write under another name, sync, then rename. A rename is atomic: at every moment the name leads to
nothing, to the old file or to the whole new one. What a killed worker leaves is a hidden temporary
file, which the next worker removes. To delete the half file after an error would not do: it was
seen before, and who is killed deletes nothing.
"""

FULL = 16384
"""Bytes after which the disk is full, for that worker."""


def check(lab: Lab) -> str:
    """Let the disk be full in the middle of an image, then watch others being written."""
    system = lab.system()
    worker = system.start("oat-worker", "--threads", 1)
    until(system, system.images.is_dir, "the folder of the images")
    until(system, (system.broker_folder / "tasks").is_dir, "a worker that waits for tasks")
    limit = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)
    with watch(system.images, IN_MODIFY) as modified:
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (FULL, limit[1]))
        system.send([task(uuid=uuid4(), width=600, height=600, cx=-0.8, cy=0.156) for _ in range(12)])
        until_logged(system, worker, "trying again", 2)
        found = images(system)
        half = {uuid: image for uuid, image in found.items() if not image.endswith(b"IEND\xaeB`\x82")}
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, limit)
        if half:
            size = len(next(iter(half.values())))
            raise Harm(
                f"{len(half)} of {len(found)} images are half images: {size} bytes under the name of a whole one, "
                "when the disk was full. If the worker is killed now, that is what stays."
            )
        until(system, lambda: len(images(system)) == 12, "all images")
        seen = {name for name in modified() if name.endswith(".png") and not name.startswith(".")}
    if seen:
        raise Harm(
            f"{len(seen)} of 12 images could be seen before they were whole: written under their final names."
        )
    return "The disk was full in the middle of an image, and no one saw half of it; 12 images appeared whole."
