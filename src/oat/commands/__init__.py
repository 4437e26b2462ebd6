"""Commands: `oat-producer`, `oat-worker`, `oat-tracker`, and `oat` with all of them."""

from oat.commands.cli import main, producer_main, tracker_main, worker_main

__all__ = ["main", "producer_main", "tracker_main", "worker_main"]
