"""Processes of the cloud that a test ends behind its back."""

from __future__ import annotations

import json
import os
import signal

from helpers import CLOUD


def kill(name: str) -> None:
    """Ends a process of the cloud with SIGKILL, as a crash would; `make cloud` starts it anew."""
    record = json.loads((CLOUD / f"run/processes/{name}.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
