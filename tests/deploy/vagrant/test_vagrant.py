"""The Vagrant environment, run for real on LXC: the tutorial's text as it stands there, and then the cluster.

`tests/deploy/vagrant/run`, that is `make test-vagrant`, makes the box and the network that this needs.
"""

import base64
import re
import subprocess
import tempfile
import urllib.error
import urllib.request

import pytest

from helpers.waiting import wait_until

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
TIMEOUT = 180


PORTS = 15672, 8080
MOVED = re.compile(r"Fixed port collision for (\d+) => \d+\. Now on port (\d+)\.")
"""What Vagrant says of a port of this host that somebody else has."""


@pytest.fixture
def ports(request, monkeypatch):
    """The machines, up, gone afterwards: on which port of this host each of theirs is."""
    monkeypatch.setenv("OAT_TOPOLOGY", request.param)
    try:
        moved = {int(port): int(other) for port, other in MOVED.findall(vagrant("up"))}
        yield {port: moved.get(port, port) for port in PORTS}
    finally:
        vagrant("destroy", "--force")


def vagrant(*arguments, check=True):
    # Not a pipe: what forwards the ports outlives `vagrant up`, and would keep its end open.
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        done = subprocess.run(
            ["vagrant", *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=errors, check=False
        )
        output.seek(0)
        errors.seek(0)
        said = output.read()
        assert not check or done.returncode == 0, f"vagrant {arguments}\n{said[-5000:]}\n{errors.read()[-5000:]}"
    return said


def ssh(machine, command):
    """Type `command` into a login shell of the machine, and return what it prints."""
    return vagrant("ssh", machine, "--command", command, "--", "-q")


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
    wait_until(lambda: count(machine, "done") >= goal, f"{goal} records that are done", TIMEOUT)


def rabbitmqs_page_answers(port):
    """On the forwarded port of this host, as the tutorial's text has it."""
    page = f"http://127.0.0.1:{port}"
    assert get(f"{page}/")[0] == 200
    status, body = get(f"{page}/api/overview", "guest:secretsecret")
    assert status == 200
    assert b"rabbitmq_version" in body
    assert get(f"{page}/api/overview", "guest:guest")[0] == 401


def gallery_shows_pictures(port):
    """On its forwarded port: a page with images, whose addresses bring images."""
    gallery = f"http://127.0.0.1:{port}"
    wait_until(lambda: answers(f"{gallery}/readyz"), "the gallery", TIMEOUT)
    page = get(f"{gallery}/", "anyone:secretsecret")[1].decode()
    shown = re.findall(rf'src="(/v1/fractals/{UUID})/thumbnail"', page)
    assert shown, page[:3000]
    for name, start in (("thumbnail", b"RIFF"), ("image", b"\x89PNG")):
        status, image = get(f"{gallery}{shown[0]}/{name}", "anyone:secretsecret")
        assert (status, image[:4]) == (200, start)
    assert get(f"{gallery}/")[0] == 401


def answers(url):
    try:
        return get(url)[0] == 200
    except OSError:
        return False


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("ports", ["single"], indirect=True)
def test_the_tutorials_text_as_it_stands(ports):
    rabbitmqs_page_answers(ports[15672])

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
    wait_until(lambda: "fractals" in sql("oat", "SHOW TABLES"), "the tables", TIMEOUT)
    wait_for_done("oat", 5)
    assert count("oat", "failed") == 0

    screens_show_the_log_lines(services)

    # Ctrl-C ends each; every task has its image, with the checksum in its record.
    for service in services:
        ssh("oat", f"tmux send-keys -t tutorial:{service} C-c")
    wait_until(
        lambda: "oat-" not in ssh("oat", "ps -u vagrant -o args= | grep -v grep || true"), "an end", TIMEOUT
    )
    every_image_has_its_checksum()

    # The same by one command, and provisioning once more changes nothing.
    vagrant("provision")
    ssh("oat", "oat-windows")
    assert ssh("oat", "tmux list-windows -t oat -F '#W'").split() == ["worker", "tracker", "producer", "web"]
    wait_for_done("oat", 2)
    rabbitmqs_page_answers(ports[15672])
    gallery_shows_pictures(ports[8080])


def screens_show_the_log_lines(services):
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


def every_image_has_its_checksum():
    sums = ssh("oat", "cd ~/.local/share/oat/images && sha256sum *.png").split()
    on_disk = {name.removesuffix(".png"): checksum for checksum, name in zip(sums[::2], sums[1::2], strict=True)}
    rows = sql("oat", "SELECT uuid, checksum FROM fractals WHERE checksum IS NOT NULL")
    recorded = dict(zip(rows[::2], rows[1::2], strict=True))
    assert recorded.items() <= on_disk.items()
    assert len(recorded) >= 5


UNITS = (
    ("producer", "oat-producer"),
    ("tracker", "oat-tracker"),
    ("tracker", "oat-web"),
    ("worker1", "oat-worker@1"),
    ("worker2", "oat-worker@1"),
)
"""On which machine, which."""


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("ports", ["cluster"], indirect=True)
def test_the_cluster_works_and_outlives_a_worker(ports):
    rabbitmqs_page_answers(ports[15672])
    for machine, unit in UNITS:
        # Active means that it has told systemd so: it is connected.
        wait_until(lambda m=machine, u=unit: state(m, u) == "active", f"{unit} on {machine}", TIMEOUT)
    wait_for_done("service", 10)
    workers = "SELECT DISTINCT worker FROM fractals WHERE worker IS NOT NULL"
    wait_until(lambda: set(sql("service", workers)) == {"worker1", "worker2"}, "both workers", TIMEOUT)
    gallery_shows_pictures(ports[8080])
    for machine, unit in UNITS:
        is_confined(machine, unit)
        comes_back(machine, unit)
    # Provisioning once more, the servers' restart included, changes nothing.
    vagrant("provision", "service", "tracker", "worker2")
    wait_for_done("service", 5)
    gallery_shows_pictures(ports[8080])

    vagrant("halt", "--force", "worker1")
    wait_for_done("service", 10)
    ssh("producer", "sudo systemctl stop oat-producer")
    wait_until(lambda: count("service", "waiting") == 0, "a result for everything", TIMEOUT)
    assert count("service", "failed") == 0

    # Every image is in the store that all machines share, with the checksum in its record.
    code = (
        "import hashlib, os, sqlalchemy as sa; from oat.storage import Store; "
        "rows = sa.create_engine(os.environ['OAT_DATABASE_URL']).connect()"
        ".execute(sa.text('SELECT uuid, checksum FROM fractals')).all(); "
        "store = Store(os.environ['OAT_TARGET']); "
        "assert all(hashlib.sha256(store.get(uuid)).hexdigest() == checksum for uuid, checksum in rows); "
        "assert sorted(store.names()) == sorted(f'{uuid}.png' for uuid, _ in rows); print(len(rows))"
    )
    assert int(ssh("producer", f'/opt/oat/bin/python -c "{code}"')) >= 20


def state(machine, unit):
    return ssh(machine, f"systemctl is-active {unit} || true").strip()


def main_process(machine, unit):
    return int(ssh(machine, f"systemctl show --value -p MainPID {unit}"))


def comes_back(machine, unit):
    """Kill -9, and systemd starts it again, until it says once more that it is at work."""
    killed = main_process(machine, unit)
    ssh(machine, f"sudo kill -9 {killed}")
    wait_until(
        lambda: main_process(machine, unit) not in (0, killed) and state(machine, unit) == "active",
        f"{unit} to come back", TIMEOUT,
    )  # fmt: skip


def is_confined(machine, unit):
    """What the unit asks for is in force in its process: some directives do nothing where they cannot."""
    pid = main_process(machine, unit)
    lines = ssh(machine, f"sudo cat /proc/{pid}/status").splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    assert status["Uid"][0] not in ("0", "1000")
    assert (status["NoNewPrivs"], status["Seccomp"]) == (["1"], ["2"])
    assert int(status["CapEff"][0], 16) == int(status["CapBnd"][0], 16) == 0
    inside = f"sudo nsenter --target {pid} --mount"
    for folder in ("/etc", "/usr", "/vagrant"):
        assert "Read-only file system" in ssh(machine, f"{inside} touch {folder}/written 2>&1 || true")
    ssh(machine, f"{inside} sh -c 'touch /var/lib/oat/written && rm /var/lib/oat/written'")
    assert ssh(machine, f"{inside} ls -A /home").split() == []
    assert ssh(machine, f"{inside} sh -c 'ls -d /dev/sd* /dev/vd* /dev/mem /dev/kmsg 2>/dev/null || true'") == ""
    # The passwords: from a file that the service itself could not read.
    as_it = f"sudo setpriv --reuid={status['Uid'][0]} --regid={status['Gid'][0]} --clear-groups"
    assert "Permission denied" in ssh(machine, f"{as_it} cat /etc/oat/environment 2>&1 || true")
    assert "secretsecret" in ssh(machine, f"sudo cat /proc/{pid}/environ | tr '\\0' '\\n'")
    ssh(machine, f"systemd-analyze security --no-pager --threshold=20 {unit}.service")
