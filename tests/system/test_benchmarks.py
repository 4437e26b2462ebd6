"""The services of `benchmarks/steps.py`, which overrides methods of ours, still do their work."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from helpers.processes import SMALL, listens
from helpers.system import System
from helpers.waiting import TIMEOUT, wait_until

BENCHMARKS = next(parent / "benchmarks" for parent in Path(__file__).parents if (parent / "Makefile").exists())

STEPS = {"record", "publish", "wait", "consume", "render", "encode", "write", "result", "commit"}


def test_each_step_of_a_task_is_recorded(tmp_path):
    with System(tmp_path) as system:
        files = {name: tmp_path / f"{name}.json" for name in ("worker", "tracker", "producer")}
        command = [sys.executable, BENCHMARKS / "steps.py"]
        once = ("--one-shot", "--min-tasks", "3", "--max-tasks", "3", *map(str, SMALL))
        for name in ("worker", "tracker"):
            process = subprocess.Popen([*command, name, files[name]], env=system.environment)
            process.log = tmp_path / "log"
            system.processes.append(process)
        subprocess.run([*command, "producer", files["producer"], *once], env=system.environment, check=True)
        system.wait_for(3)
        for process in system.processes:
            wait_until(lambda p=process: listens(p), "a start")
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT) == 0
        completed = {
            step: uuids for file in files.values() for step, uuids in json.loads(file.read_text()).items()
        }
        assert completed.keys() == STEPS
        assert all(len(uuids) == 3 for uuids in completed.values())
