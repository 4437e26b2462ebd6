"""The Vagrant environment, run for real on LXC: the tutorial's text as it stands there, and then the cluster.

`tests/vagrant/run`, that is `make test-vagrant`, makes the box and the network that this needs.
"""

import base64
import re
import subprocess
import urllib.error
import urllib.request

import pytest

from servers import wait_until

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
PATIENCE = 180


@pytest.fixture
def topology(request, monkeypatch):
    """The machines, up; gone afterwards."""
    monkeypatch.setenv("OAT_TOPOLOGY", request.param)
    try:
        vagrant("up")
        yield request.param
    finally:
        vagrant("destroy", "--force")


def vagrant(*arguments, check=True):
    done = subprocess.run(["vagrant", *arguments], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"vagrant {arguments}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
    return done.stdout


def ssh(machine, command):
    """Type `command` into a login shell of the machine, and return what it prints."""
    return vagrant("ssh", machine, "--command", command, "--", "-q")


def address(machine):
    return re.search(r"HostName (\S+)", vagrant("ssh-config", machine))[1]


def get(url, user=None):
    """Return status and body of a page, as a browser on the host sees it."""
    request = urllib.request.Request(url)
    if user:
        request.add_header("Authorization", "Basic " + base64.b64encode(user.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def sql(machine, query):
    """Return the rows that `query` finds, as words."""
    return ssh(machine, f'mysql -u tutorial -psecretsecret tutorial -Ne "{query}"').split()


def count(machine, status):
    return int(sql(machine, f"SELECT COUNT(*) FROM fractals WHERE status = '{status}'")[0])


def wait_for_done(machine, more):
    goal = count(machine, "done") + more
    wait_until(lambda: count(machine, "done") >= goal, f"{goal} records that are done", PATIENCE)


def rabbitmqs_page_answers(host):
    assert get(f"http://{host}:15672/")[0] == 200
    status, body = get(f"http://{host}:15672/api/overview", "guest:secretsecret")
    assert status == 200
    assert b"rabbitmq_version" in body
    assert get(f"http://{host}:15672/api/overview", "guest:guest")[0] == 401


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("topology", ["single"], indirect=True)
def test_the_tutorials_text_as_it_stands(topology):
    rabbitmqs_page_answers(address("oat"))

    for user, database in (("root", "mysql"), ("tutorial", "tutorial")):
        who = ssh("oat", f"mysql -u {user} -psecretsecret {database} -Ne 'SELECT CURRENT_USER(), DATABASE()'")
        assert who.split() == [f"{user}@localhost", database]
    refused = vagrant(
        "ssh", "oat", "--command", "mysql -u tutorial -pwrong -e ''; echo $?", "--", "-q", check=False
    )
    assert refused.split()[-1] == "1"

    # "Virtual environment": from nothing, though there is one already.
    lines = ["cd /vagrant", "rm -rf .venv", "virtualenv .venv", "source .venv/bin/activate",
             "pip install -r requirements.txt", "python setup.py install"]  # fmt: skip
    ssh("oat", " && ".join(lines))

    # "Now open a new screen or tmux session", each service in a separate window.
    ssh("oat", "cd /vagrant && tmux new-session -d -s tutorial -x 200 -y 50")
    services = ("oat-worker", "oat-tracker", "oat-producer")
    for service in services:
        ssh("oat", f"cd /vagrant && tmux new-window -t tutorial -n {service}")
        ssh("oat", f"tmux send-keys -t tutorial:{service} 'source .venv/bin/activate; {service}' Enter")
    wait_until(lambda: "fractals" in sql("oat", "SHOW TABLES"), "the tables", PATIENCE)
    wait_for_done("oat", 5)
    assert count("oat", "failed") == 0

    screens = {name: ssh("oat", f"tmux capture-pane -p -J -S - -t tutorial:{name}") for name in services}
    number = r"\d+\.\d{6}"
    expected = {
        "oat-producer": [
            r"generating \d+ task\(s\)", r"generated task: \{.*'uuid': UUID\('", f"sleeping for {number} seconds",
        ],
        "oat-tracker": [f"processing result {UUID}", f"elapsed time {number} seconds", "checksum [0-9a-f]{64}"],
        "oat-worker": [
            f"processing task {UUID}", f"task {UUID} processed in {number} seconds",
            rf"saved result of task {UUID} to file /home/vagrant/\S+\.png", r"pushed result: \{.*'checksum': '",
        ],
    }  # fmt: skip
    for name, patterns in expected.items():
        for pattern in patterns:
            assert re.search(f"{STAMP} {pattern}", screens[name]), (pattern, screens[name][-3000:])

    # Ctrl-C ends each; every task has its image, with the checksum in its record.
    for service in services:
        ssh("oat", f"tmux send-keys -t tutorial:{service} C-c")
    wait_until(
        lambda: "oat-" not in ssh("oat", "ps -u vagrant -o args= | grep -v grep || true"), "an end", PATIENCE
    )
    sums = ssh("oat", "cd ~/.local/share/oat/images && sha256sum *.png").split()
    on_disk = {name.removesuffix(".png"): checksum for checksum, name in zip(sums[::2], sums[1::2], strict=True)}
    rows = sql("oat", "SELECT uuid, checksum FROM fractals WHERE checksum IS NOT NULL")
    recorded = dict(zip(rows[::2], rows[1::2], strict=True))
    assert recorded.items() <= on_disk.items()
    assert len(recorded) >= 5

    # The same by one command, and provisioning once more changes nothing.
    vagrant("provision")
    ssh("oat", "oat-windows")
    assert ssh("oat", "tmux list-windows -t oat -F '#W'").split() == ["worker", "tracker", "producer", "web"]
    wait_for_done("oat", 2)
    rabbitmqs_page_answers(address("oat"))
    if has_gallery("oat"):
        wait_until(lambda: gallery_answers(address("oat")), "the gallery", PATIENCE)


def has_gallery(machine):
    return "No such command" not in ssh(machine, "/opt/oat/bin/oat web --help 2>&1 || true")


def gallery_answers(host):
    try:
        return get(f"http://{host}:8080/healthz")[0] == 200
    except OSError:
        return False


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("topology", ["cluster"], indirect=True)
def test_the_cluster_works_and_outlives_a_worker(topology):
    rabbitmqs_page_answers(address("service"))
    units = {
        "producer": "oat-producer",
        "tracker": "oat-tracker",
        "worker1": "oat-worker@1",
        "worker2": "oat-worker@1",
    }
    for machine, unit in units.items():
        # Active means that it has told systemd so: it is connected.
        wait_until(lambda m=machine, u=unit: state(m, u) == "active", f"{unit} on {machine}", PATIENCE)
    wait_for_done("service", 10)
    workers = "SELECT DISTINCT worker FROM fractals WHERE worker IS NOT NULL"
    wait_until(lambda: set(sql("service", workers)) == {"worker1", "worker2"}, "both workers", PATIENCE)
    if has_gallery("tracker"):
        wait_until(lambda: gallery_answers(address("tracker")), "the gallery", PATIENCE)

    vagrant("halt", "--force", "worker1")
    wait_for_done("service", 10)
    ssh("producer", "sudo systemctl stop oat-producer")
    wait_until(lambda: count("service", "waiting") == 0, "an answer to everything", PATIENCE)
    assert count("service", "failed") == 0

    # Every image is in the store that all machines share, with the checksum in its record.
    code = (
        "import hashlib, os, sqlalchemy as sa; from oat.store import Store; "
        "rows = sa.create_engine(os.environ['OAT_DATABASE_URL']).connect()"
        ".execute(sa.text('SELECT uuid, checksum FROM fractals')).all(); "
        "store = Store(os.environ['OAT_TARGET']); "
        "assert all(hashlib.sha256(store.get(uuid)).hexdigest() == checksum for uuid, checksum in rows); "
        "assert sorted(store.names()) == sorted(f'{uuid}.png' for uuid, _ in rows); print(len(rows))"
    )
    assert int(ssh("producer", f'/opt/oat/bin/python -c "{code}"')) >= 20


def state(machine, unit):
    return ssh(machine, f"systemctl is-active {unit} || true").strip()
