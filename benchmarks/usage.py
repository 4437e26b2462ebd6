"""Processor time and memory of processes, with their children."""

import os

import psutil

CORES = len(os.sched_getaffinity(0))
"""Processor cores that this process may use."""


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return `process` and its children; for this process itself, which started all others, only itself."""
    return [process, *([] if process.pid == os.getpid() else process.children(recursive=True))]


def processor(process: psutil.Process) -> float:
    """Return the seconds of processor time that `process` and its children have used."""
    return sum(sum(one.cpu_times()[:2]) for one in family(process))


def memory(process: psutil.Process) -> float:
    """Return the resident memory of `process` and its children, in mebibytes."""
    return sum(one.memory_info().rss for one in family(process)) / 2**20
