"""Accounts for a class, on RabbitMQ and on both databases: each learner has what is theirs, and nothing else."""

import os
import re
import stat
import subprocess
import sys
import threading
from uuid import uuid4

import pytest
import sqlalchemy as sa

from helpers.slow_tasks import disc
from helpers.system import System
from helpers.validators import ROOT
from oat.messaging import BrokerError
from oat.messaging.broker import Broker
from oat.records import Database, DatabaseError
from oat.settings import Settings

SETTING = re.compile(r"(OAT_\w+)=(.*)\n")


@pytest.fixture(params=["mariadb", "postgresql"])
def admin_url(request):
    """The address of a database server with a user who may do everything."""
    server = request.getfixturevalue(request.param)
    if request.param == "mariadb":
        return f"mysql+pymysql://root@127.0.0.1:{server.port}/"
    return server._dsn("postgres").replace("postgresql:", "postgresql+psycopg:")


@pytest.fixture
def accounts(admin_url, rabbitmq, tmp_path):
    """Calls the program on the private servers; what it prints has no secret."""
    folder = tmp_path / "accounts"

    def call(*arguments, status=0, **environment):
        program = ["--rabbitmqctl", rabbitmq.BIN.with_name("rabbitmqctl"), *arguments, "--folder", folder]
        done = subprocess.run(
            [sys.executable, ROOT / "deploy/classroom/accounts.py", *map(str, program)],
            env=os.environ | rabbitmq.environment | {"ADMIN_DATABASE_URL": admin_url} | environment,
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        for path in folder.glob("*.env"):
            assert re.search(":([^:@]+)@", path.read_text())[1] not in done.stdout + done.stderr
        return done.stdout + done.stderr

    call.folder = folder
    yield call
    if list(folder.glob("*.env")):
        call("remove")


def settings(folder, name, port):
    """The settings of a learner; RabbitMQ is on a private port here."""
    found = dict(SETTING.findall((folder / f"{name}.env").read_text()))
    return found | {"OAT_BROKER_URL": found["OAT_BROKER_URL"].replace(":5672/", f":{port}/")}


def test_each_learner_has_a_vhost_and_a_database_of_their_own(accounts, rabbitmq, tmp_path, admin_url):
    assert "2 learners, 2 of them new" in accounts("create", 2, "--host", "127.0.0.1")
    files = sorted(accounts.folder.iterdir())
    before = [file.read_text() for file in files]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
    assert stat.S_IMODE(accounts.folder.stat().st_mode) == 0o700
    one, two = (settings(accounts.folder, f"learner0{n}", rabbitmq.port) for n in (1, 2))
    for each, count in ((one, 3), (two, 1)):
        with System(tmp_path, each["OAT_BROKER_URL"], each["OAT_DATABASE_URL"]) as system:
            system.send([disc(10).model_copy(update={"uuid": uuid4()}) for _ in range(count)])
            assert system.counts() == {"waiting": count}, "of one learner"

    # Theirs alone: the secret of one opens nothing of the other.
    secret = [re.search(":([^:@]+)@", each["OAT_BROKER_URL"])[1] for each in (one, two)]
    for url in (
        one["OAT_BROKER_URL"].replace("/learner01", "/learner02"),
        two["OAT_BROKER_URL"].replace(secret[1], secret[0]),
    ):
        with pytest.raises(BrokerError):
            Broker(Settings(broker_url=url), threading.Event()).serve(lambda: None)
    foreign = one["OAT_DATABASE_URL"].replace("/learner01", "/learner02").replace("//learner02", "//learner01")
    with pytest.raises(DatabaseError):
        Database(foreign, threading.Event(), 5).prepare()

    # Once more, with another learner: what is there stays.
    assert "3 learners, 1 of them new" in accounts("create", 3, "--host", "127.0.0.1")
    assert [file.read_text() for file in files] == before
    with sa.create_engine(one["OAT_DATABASE_URL"]).connect() as connection:
        assert connection.execute(sa.text("SELECT COUNT(*) FROM fractals")).scalar() == 3

    accounts("remove")
    assert list(accounts.folder.iterdir()) == []
    with pytest.raises(BrokerError):
        Broker(Settings(broker_url=one["OAT_BROKER_URL"]), threading.Event()).serve(lambda: None)
    with pytest.raises(sa.exc.OperationalError):
        sa.create_engine(one["OAT_DATABASE_URL"]).connect()


def test_an_error_of_a_server_is_one_line(accounts, admin_url):
    wrong = admin_url.replace("root@", "nobody:hidden@").replace("tutorial@", "nobody:hidden@")
    said = accounts("create", 1, "--host", "127.0.0.1", status=1, ADMIN_DATABASE_URL=wrong)
    assert "refuses" in said
    assert "hidden" not in said
    assert "Traceback" not in said
