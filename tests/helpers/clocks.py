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
    # What is waited for goes by the monotonic clock, which nobody can set.
    return {"LD_PRELOAD": library(), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def clock_in(file):
    """The same, for a clock that is set while the process runs: `file` has the offset."""
    variables = clock("") | {"FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}
    del variables["FAKETIME"]
    return variables
