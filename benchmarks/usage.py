"""What processes use: processor time and memory, with those they have started."""

import os

import psutil

CORES = len(os.sched_getaffinity(0))


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return `process` and its children; of ourselves, who started them all, only us."""
    return [process, *([] if process.pid == os.getpid() else process.children(recursive=True))]


def processor(process: psutil.Process) -> float:
    """Seconds of processor time that `process` and its children have used."""
    return sum(sum(one.cpu_times()[:2]) for one in family(process))


def memory(process: psutil.Process) -> float:
    """Mebibytes that `process` and its children have in memory."""
    return sum(one.memory_info().rss for one in family(process)) / 2**20
