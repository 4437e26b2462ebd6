"""Where benchmarks write their files."""

import os
import shutil
import sys
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from helpers.guard import temporary_folder

MEMORY_FOLDER, MIN_FREE = Path("/dev/shm"), 8 * 2**30
"""A folder in memory, on Linux, and the bytes that have to be free there: twice what is written."""


def benchmark_folder() -> AbstractContextManager[Path]:
    """Return the context manager of a new folder for all files, which ends with the block or with this process.

    It is in memory if enough is free there and `TMPDIR` is not set, else where temporary folders usually are.

    How long a disk takes for a new file says nothing about the pipeline: it varies, on ext4 without a journal from
    15 microseconds to 200 or 500 after thousands of files have been deleted.
    """
    enough = (
        psutil.virtual_memory().available > MIN_FREE
        and MEMORY_FOLDER.is_dir()
        and shutil.disk_usage(MEMORY_FOLDER).free > MIN_FREE
    )
    parent = MEMORY_FOLDER if enough and "TMPDIR" not in os.environ else Path(tempfile.gettempdir())
    return temporary_folder(parent)
