"""Signals that come where the system has nothing left."""

import subprocess
import sys

from helpers.waiting import TIMEOUT

NO_MORE_THREADS = """
import os, signal, threading
from oat.process import install_signal_handlers
install_signal_handlers(lambda: None, lambda: False, exit_code=7)
def start(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start = start
os.kill(os.getpid(), signal.SIGTERM)
threading.Event().wait()
"""


def test_a_process_that_can_start_no_thread_ends_all_the_same():
    done = subprocess.run([sys.executable, "-c", NO_MORE_THREADS], timeout=TIMEOUT, check=False)
    assert done.returncode == 7
