"""A signal while a program still starts ends it as it would later: cleanly, and with the documented status."""

import signal
import subprocess
import time

import pytest

from helpers.processes import BIN, listens
from helpers.system import System
from helpers.waiting import TIMEOUT, wait_until

MOMENTS = (0.0, 0.05, 0.15, 0.3, 0.6, 1.0)
"""Seconds after it listens at which a program is stopped: at most of them it loads its modules."""


@pytest.mark.parametrize(
    ("command", "number", "status"),
    [
        (("oat-worker",), signal.SIGTERM, 0),
        (("oat-tracker",), signal.SIGINT, 0),
        (("oat-producer",), signal.SIGTERM, 0),
        (("oat", "web", "--port", "0"), signal.SIGTERM, 0),
        (("oat", "run", "--tasks", "100000"), signal.SIGINT, 130),
        (("oat", "list"), signal.SIGINT, 130),
    ],
)
def test_a_signal_while_it_starts(tmp_path, command, number, status):
    moments = MOMENTS[:1] if command[-1] == "list" else MOMENTS  # it may be done at the others
    with System(tmp_path) as system:
        for moment in moments:
            process = subprocess.Popen(
                [BIN / command[0], *command[1:]],
                env=system.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            wait_until(lambda process=process: listens(process), "the first line of the program")
            time.sleep(moment)
            process.send_signal(number)
            _, said = process.communicate(timeout=TIMEOUT)
            assert process.returncode == status, (moment, said)
            assert "Traceback" not in said
