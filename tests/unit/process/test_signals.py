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


CLOSED_TERMINAL = """
import os, signal, sys, threading
from oat.process import install_signal_handlers
signal.signal(signal.SIGHUP, signal.SIG_DFL if sys.argv[1] == "default" else signal.SIG_IGN)
stopped = threading.Event()
install_signal_handlers(stopped.set, lambda: False)
for _ in range(2):
    os.kill(os.getpid(), signal.SIGHUP)
sys.exit(0 if stopped.wait(10 if sys.argv[1] == "default" else 1) else 3)
"""


def closed_terminal(disposition):
    words = [sys.executable, "-c", CLOSED_TERMINAL, disposition]
    return subprocess.run(words, timeout=TIMEOUT, check=False).returncode


def test_a_closed_terminal_is_a_stop():
    assert closed_terminal("default") == 0


def test_nohup_ignores_a_closed_terminal():
    assert closed_terminal("ignored") == 3
