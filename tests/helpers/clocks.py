"""Clocks that are wrong: libfaketime sets that of a process."""

from pathlib import Path

from helpers.servers import MissingError


def library():
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise MissingError("libfaketime")
    return str(found[0])


def clock(offset):
    """Environment variables of a process whose clock is ahead by `offset`: +1y, -5m."""
    return {"LD_PRELOAD": library(), "FAKETIME": offset}
