"""Log lines are written together, in order, and none is lost at the end."""

import logging
import subprocess
import sys

from helpers.waiting import wait_until
from oat.process.logs import FLUSH_INTERVAL, configure_logging


def test_lines_are_written_in_their_order_and_a_warning_at_once(tmp_path):
    file = tmp_path / "log"
    configure_logging(file)
    log = logging.getLogger("oat.test")
    for n in range(1500):
        log.info("line %d", n)
    log.warning("a warning")
    lines = [line.partition(" ")[2].partition(" ")[2] for line in file.read_text().splitlines()]
    assert lines == [*(f"line {n}" for n in range(1500)), "a warning"]
    log.info("one more")
    wait_until(lambda: "one more" in file.read_text(), f"a line that waits for {FLUSH_INTERVAL} seconds")
    file.unlink()  # as a tool that rotates logs does
    log.warning("into a new file")
    assert "into a new file" in file.read_text()


def test_the_last_lines_are_written_when_the_process_ends():
    program = (
        "import logging; from oat.process import configure_logging; configure_logging(None);"
        "logging.getLogger('oat').info('the last words')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.endswith("the last words\n")
