"""What the benchmarks stand on: services with overridden methods still do their work, an older commit runs."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from helpers.missing import leave_out
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


def test_a_worker_that_sleeps_answers_its_tasks(tmp_path):
    with System(tmp_path) as system:
        system.start("oat-tracker")
        command = [sys.executable, BENCHMARKS / "sleeping_worker.py", "0.001", "--threads", "1"]
        with (tmp_path / "sleeping.log").open("wb") as log:
            worker = subprocess.Popen(command, env=system.environment, stdout=log, stderr=log)
        worker.log = tmp_path / "sleeping.log"
        system.processes.append(worker)
        system.produce(3)
        system.wait_for(3)
        assert len({record["checksum"] for record in system.records()}) == 1
        system.stop(*system.processes)


def test_an_older_version_is_exported_run_and_removed(tmp_path):
    if not (BENCHMARKS.parent / ".git").exists():
        leave_out("an older commit needs a Git checkout")
    script = f"""
import sys, time
sys.path[:0] = [{str(BENCHMARKS)!r}, {str(BENCHMARKS.parent / "tests")!r}]
from versions import older_version
with older_version("HEAD") as version:
    print(version.folder, *version.command("oat", "--help"), sep="\\0", flush=True)
    time.sleep(3600)
"""
    exporting = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        folder, *command = exporting.stdout.readline().rstrip("\n").split("\0")
        environment = {"PYTHONPATH": f"{folder}/src", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        shown = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
        assert b"tracker" in shown
    finally:
        exporting.kill()
        exporting.wait()
    wait_until(lambda: not Path(folder).parent.exists(), "the end of the temporary folder")


def test_the_services_of_a_benchmark_that_is_killed_end(tmp_path):
    script = f"""
import sys, time
from pathlib import Path
sys.path[:0] = [{str(BENCHMARKS)!r}, {str(BENCHMARKS.parent / "tests")!r}]
from bench import Bench
from oat.settings import Settings
settings = Settings(log_file=Path({str(tmp_path)!r}, "log"))
with Bench.processes(None, settings, ["/usr/bin/sleep", "3600"], ["/usr/bin/sleep", "3600"]) as services:
    print(*(service.pid for service in services), flush=True)
    time.sleep(3600)
"""
    benchmark = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        services = [psutil.Process(int(pid)) for pid in benchmark.stdout.readline().split()]
        assert len(services) == 2
    finally:
        benchmark.kill()
        benchmark.wait()
    wait_until(lambda: not any(service.is_running() for service in services), "the end of both")
