"""Commands: `oat-producer`, `oat-worker`, `oat-tracker`, and `oat` with all of them.

A module has the commands of its name, `cli` the table of all, `entry` the programs; `options` declares the options
that they share.
"""

from oat.commands.entry import main, producer_main, tracker_main, worker_main

__all__ = ["main", "producer_main", "tracker_main", "worker_main"]
