"""`oat run`: its two processes, and how they end."""

import io
import json
import random
import re
import signal
from dataclasses import replace
from threading import Event
from uuid import uuid4

import psutil
import pytest
from PIL import Image

from helpers import http
from helpers.processes import gallery_address, terminate
from helpers.proxy import Proxy
from helpers.slow_tasks import slow
from helpers.system import System
from helpers.tasks import small_tasks
from helpers.waiting import TIMEOUT, wait_until
from oat.commands.supervisor import Supervisor
from oat.messaging import Broker
from oat.services import Producer, Ranges
from oat.settings import PermanentError, Settings


def worker_of(process):
    """The process of `oat run` that renders, once it does."""

    def found():
        assert process.poll() is None, process.log.read_text()
        children = psutil.Process(process.pid).children()
        return next((child for child in children if "spawn_main" in " ".join(child.cmdline())), None)

    return wait_until(found, "a worker")


def images(system):
    return len(list(system.images.glob("*.png")))


def test_a_killed_worker_is_replaced(tmp_path):
    with System(tmp_path, OAT_RESEND_AFTER="1") as system:
        process = system.start("oat", "run", "--tasks", 300)
        for _ in range(2):
            before = images(system)
            worker = worker_of(process)
            wait_until(lambda before=before: images(system) > before + 20, "some images")
            worker.kill()
            wait_until(lambda worker=worker: not worker.is_running(), "its end")
        process.wait(TIMEOUT)
        assert process.returncode == 0, process.log.read_text()
        assert "300 of 300" in process.log.read_text()
        system.audit(300)


def test_the_worker_ends_with_its_parent(tmp_path):
    with System(tmp_path) as system:
        process = system.start("oat", "run", "--tasks", 1000)
        worker = worker_of(process)
        wait_until(lambda: images(system) > 20, "some images")
        system.kill(process)
        worker.wait(TIMEOUT)


@pytest.mark.parametrize("moment", ["while it starts", "at work"])
def test_ctrl_c_ends_both_processes_without_a_traceback(tmp_path, moment):
    with System(tmp_path) as system:
        process = system.start("oat", "run", "--tasks", 1000)
        worker = worker_of(process)
        if moment == "at work":
            wait_until(lambda: images(system) > 20, "some images")
        for one in (process, worker):  # as a terminal does
            one.send_signal(signal.SIGINT)
        process.wait(TIMEOUT)
        assert process.returncode == 130
        assert not worker.is_running()
        assert "Traceback" not in process.log.read_text()
        assert not list(system.images.glob(".*"))


def test_a_second_signal_ends_the_run_although_its_worker_is_stopped(tmp_path):
    with System(tmp_path) as system:
        log = tmp_path / "run.log"
        process = system.start("oat", "run", "--tasks", 1000, "--log-file", log)
        worker = worker_of(process)
        wait_until(lambda: images(system) > 20, "some images")
        worker.suspend()
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: "once more ends it at once" in log.read_text(), "the first signal to be handled")
        process.send_signal(signal.SIGTERM)
        process.wait(TIMEOUT)
        assert process.returncode == 128 + signal.SIGTERM
        worker.resume()
        worker.wait(TIMEOUT)


def test_ctrl_c_ends_the_run_while_the_database_is_silent(mariadb, tmp_path):
    proxy = Proxy(mariadb.port)
    url = mariadb.database(uuid4().hex[:8]).replace(f":{mariadb.port}/", f":{proxy.port}/")
    url += f"?read_timeout={10 * TIMEOUT}&write_timeout={10 * TIMEOUT}"  # which is not what ends it
    with System(tmp_path, None, url) as system:
        process = system.start("oat", "run", "--tasks", 1000)
        wait_until(lambda: images(system) > 20, "some images")
        proxy.stall()
        process.send_signal(signal.SIGINT)
        process.wait(TIMEOUT)
        assert process.returncode == 130


def test_a_permanent_error_of_the_worker_ends_the_run(tmp_path):
    (tmp_path / "file").touch()
    settings = Settings(broker_url=f"filesystem://{tmp_path}/file/broker", target=str(tmp_path))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(PermanentError, match="OAT_BROKER_URL"):
        Supervisor(settings, 1).run()
    # What this thread starts from now on must hear SIGTERM.
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == blocked


def test_oat_run_renders_its_tasks_and_makes_a_contact_sheet(tmp_path):
    with System(tmp_path) as system:
        for total in (5, 10):
            done = system.call("oat", "run", "--tasks", 5)
            assert done.returncode == 0, done.stderr
            assert "5 of 5" in done.stdout
            sheet = system.folder / "data" / "oat" / "contact-sheet.png"
            with Image.open(io.BytesIO(sheet.read_bytes())) as image:
                assert len(image.convert("RGB").getcolors(1 << 24)) > 8
            sheet.unlink()
            system.audit(total)


def test_oat_run_shows_its_gallery_until_it_is_interrupted(tmp_path):
    with System(tmp_path) as system:
        process = system.start("oat", "run", "--tasks", 3, "--port", 0)
        url = gallery_address(process)
        wait_until(lambda: http.get(f"{url}/v1/statistics").json()["done"] == 3, "three images")
        wait_until(lambda: "until Ctrl-C" in process.log.read_text(), "the end of the run")
        assert http.get(f"{url}/").status_code == 200
        terminate(process)


def order(system):
    """The UUIDs in the queue of tasks, the first one first; they are taken out."""
    broker = Broker(Settings(broker_url=system.broker_url or f"filesystem://{system.broker_folder}"), Event())
    taken = []

    def session():
        count = broker.size("tasks")
        broker.consume("tasks", 1000, taken.append)
        while len(taken) < count:
            broker.wait(10)
        for each in taken:
            broker.ack(each)

    broker.serve(session)
    return [json.loads(each.body)["uuid"] for each in taken]


def test_oat_run_takes_its_own_tasks_first(either):
    waiting = [slow(0.5, side=100).model_copy(update={"uuid": uuid4()}) for _ in range(100)]
    either.send(waiting)
    done = either.call("oat", "run", "--tasks", 4, "--threads", 1)
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "100 task(s) are waiting from before, with 100 message(s) in the queue" in said
    assert "then the others as far as it gets; the rest stays for later workers, and oat cancel --all" in said
    assert "4 of 4" in said
    older = {str(task.uuid) for task in waiting}
    finished = sorted(
        (record for record in either.records() if record["status"] == "done"), key=lambda each: each["finished_at"]
    )
    assert not {record["uuid"] for record in finished[:4]} & older
    left = order(either)
    assert set(left) <= older
    assert len(left) > 50  # the run did not work them off
    [cancelled] = re.findall(r"cancelled (\d+)", either.call("oat", "cancel", "--all").stdout)
    assert int(cancelled) >= len(left)
    again = either.call("oat", "run", "--tasks", 1)
    assert again.returncode == 0, again.stderr
    assert "from before" not in again.stdout


def test_a_producer_ahead_moves_what_was_queued_behind_its_own(either):
    waiting = small_tasks(700, random.Random(5))
    either.send(waiting)
    settings = Settings(
        broker_url=either.broker_url or f"filesystem://{either.broker_folder}", database_url=either.database_url
    )
    producer = Producer(settings, replace(Ranges(), tasks=(40, 40)), 1, one_shot=True, ahead=True)
    producer.run()
    assert producer.published.is_set()
    found = order(either)
    assert found[:40] == [str(uuid) for uuid in producer.produced]
    assert sorted(found[40:]) == sorted(str(task.uuid) for task in waiting)
