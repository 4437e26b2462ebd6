"""Each file in `examples/` does what its first lines say, run as they say."""

import re
import signal
from uuid import UUID

import numpy as np
import pytest
from PIL import Image

from helpers.reference import colour, escape_counts
from helpers.validators import ROOT
from helpers.waiting import TIMEOUT, wait_until
from oat.messages import Task

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def command(name):
    """The words of the command line in the docstring of an example, with this Python."""
    found = re.search(r"`python (examples/\S+)`", (ROOT / "examples" / name).read_text())
    return ["python", ROOT / found[1]]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_names_its_command_and_is_in_the_readme(path):
    assert command(path.name)[1] == path
    assert path.read_text().count("\n") < 40
    assert f"[{path.name}]({path.name})" in (ROOT / "examples/README.md").read_text()
    assert not re.search(r"^(from|import) oat", path.read_text(), re.MULTILINE)


def test_five_examples():
    assert len(EXAMPLES) == 5


def test_a_sent_task_and_its_result(on_servers):
    on_servers.start("oat-worker")
    on_servers.start("oat-tracker")
    on_servers.produce(1)  # the queues are there now
    reader = on_servers.start(*command("read_results.py"))
    wait_until(lambda: "waiting for results" in reader.log.read_text(), "the reader")
    sent = on_servers.call(*command("send_task.py"))
    assert sent.returncode == 0, sent.stderr
    uuid = UUID(sent.stdout.strip())
    wait_until(lambda: str(uuid) in reader.log.read_text(), "the result")
    assert re.search(rf"^{uuid} [0-9a-f]{{64}}$", reader.log.read_text(), re.MULTILINE)
    assert (on_servers.images / f"{uuid}.png").exists()
    reader.send_signal(signal.SIGINT)
    assert reader.wait(TIMEOUT) == 0, reader.log.read_text()


def test_the_plain_worker_renders_the_same_pixels(on_servers):
    on_servers.start("oat-tracker")
    on_servers.produce(5)
    on_servers.images.mkdir(parents=True, exist_ok=True)
    on_servers.start(*command("plain_worker.py"))
    on_servers.wait_for(5)
    for record in on_servers.records():
        task = Task(**{name: record[name] for name in Task.model_fields} | {"uuid": UUID(record["uuid"])})
        pixels = np.asarray(Image.open(on_servers.images / f"{record['uuid']}.png"))
        assert (pixels == np.array([[colour(n) for n in row] for row in escape_counts(task)])).all()
    on_servers.audit(5)


def test_the_own_producer_records_and_publishes(on_servers):
    on_servers.start("oat-worker")
    on_servers.start("oat-tracker")
    on_servers.produce(1)  # queues and tables are there now
    done = on_servers.call(*command("own_producer.py"))
    assert done.returncode == 0, done.stderr
    assert on_servers.outbox() == 0
    on_servers.wait_for(11)
    on_servers.audit(11)


def test_the_api_from_a_script(on_servers):
    on_servers.start("oat-worker")
    on_servers.start("oat-tracker")
    on_servers.environment["OAT_API_URL"] = on_servers.gallery()
    done = on_servers.call(*command("use_api.py"))
    assert done.returncode == 0, done.stderr
    assert len(list(on_servers.folder.glob("*.png"))) == 3
    assert len(done.stdout.splitlines()) == 3
