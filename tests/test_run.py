"""`oat run`: how far it is, and what becomes of its two processes."""

import signal
from uuid import uuid4

import psutil
import pytest

from oat.commands.pipeline import MAX_POLL_INTERVAL, MIN_POLL_INTERVAL, Progress
from oat.commands.supervisor import Supervisor
from oat.settings import PermanentError, Settings
from proxy import Proxy
from servers import wait_until
from system import System


@pytest.mark.parametrize(
    ("done", "failed", "seconds", "patience"),
    [
        (0, 0, 0.0, MIN_POLL_INTERVAL),
        (1, 0, 2.0, MAX_POLL_INTERVAL),
        (1, 0, 0.2, 0.1),
        (80, 10, 0.9, 0.05),
        (100, 0, 9.0, MIN_POLL_INTERVAL),
    ],
)
def test_the_next_look_comes_after_half_of_the_time_gone_or_left(done, failed, seconds, patience):
    progress = Progress(total=100, done=done, failed=failed, seconds=seconds)
    assert progress.poll_interval == pytest.approx(patience)
    assert progress.finished == (done + failed == 100)


def worker_of(process):
    """The process of `oat run` that renders, once it does."""

    def found():
        assert process.poll() is None, process.log.read_text()
        children = psutil.Process(process.pid).children()
        return next((child for child in children if "spawn_main" in " ".join(child.cmdline())), None)

    return wait_until(found, "a worker")


def images(system):
    return len(list(system.images.glob("*.png")))


def test_another_worker_takes_the_place_of_one_that_is_killed(tmp_path):
    with System(tmp_path, OAT_RESEND_AFTER="1") as system:
        process = system.start("oat", "run", "--tasks", 300)
        for _ in range(2):
            before = images(system)
            worker = worker_of(process)
            wait_until(lambda before=before: images(system) > before + 20, "some images")
            worker.kill()
            wait_until(lambda worker=worker: not worker.is_running(), "its end")
        process.wait(60)
        assert process.returncode == 0, process.log.read_text()
        assert "300 of 300" in process.log.read_text()
        system.audit(300)


def test_the_worker_ends_with_the_one_who_started_it(tmp_path):
    with System(tmp_path) as system:
        process = system.start("oat", "run", "--tasks", 1000)
        worker = worker_of(process)
        wait_until(lambda: images(system) > 20, "some images")
        system.kill(process)
        worker.wait(30)


@pytest.mark.usefixtures("hears_ctrl_c")
@pytest.mark.parametrize("moment", ["while it starts", "at work"])
def test_a_ctrl_c_ends_both_and_only_says_so(tmp_path, moment):
    with System(tmp_path) as system:
        process = system.start("oat", "run", "--tasks", 1000)
        worker = worker_of(process)
        if moment == "at work":
            wait_until(lambda: images(system) > 20, "some images")
        for one in (process, worker):  # as a terminal does
            one.send_signal(signal.SIGINT)
        process.wait(30)
        assert process.returncode == 130
        assert not worker.is_running()
        assert "Traceback" not in process.log.read_text()
        assert not list(system.images.glob(".*"))


def test_a_second_signal_ends_it_although_its_worker_does_not_answer(tmp_path):
    with System(tmp_path) as system:
        log = tmp_path / "run.log"
        process = system.start("oat", "run", "--tasks", 1000, "--log-file", log)
        worker = worker_of(process)
        wait_until(lambda: images(system) > 20, "some images")
        worker.suspend()
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: "once more ends it at once" in log.read_text(), "the first signal to be heard")
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert process.returncode == 128 + signal.SIGTERM
        worker.resume()
        worker.wait(30)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_a_ctrl_c_while_the_database_is_silent_ends_it(mariadb, tmp_path):
    proxy = Proxy(mariadb.port)
    url = mariadb.database(uuid4().hex[:8]).replace(f":{mariadb.port}/", f":{proxy.port}/")
    with System(tmp_path, None, url) as system:
        process = system.start("oat", "run", "--tasks", 1000)
        wait_until(lambda: images(system) > 20, "some images")
        proxy.stall()
        process.send_signal(signal.SIGINT)
        process.wait(20)  # PyMySQL would wait for 30 seconds
        assert process.returncode == 130


def test_what_no_other_worker_would_survive_ends_the_run(tmp_path):
    settings = Settings(broker_url="carrier-pigeon:", target=str(tmp_path))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(PermanentError, match="exit code 1"):
        Supervisor(settings, 1).run()
    # What this thread starts from now on must hear SIGTERM.
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == blocked
