"""A database that changes its server: the connections end, and the new server is a standby for a while."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pymysql
import pytest
import sqlalchemy as sa

from helpers import http
from helpers.waiting import wait_until

NOTICED = "trying again"


class Administrator:
    """Makes a database read-only and back, as its users see it who are not administrators of the server."""

    def __init__(self, url, server):
        self.name = sa.make_url(url).database
        self.server = server

    def execute(self, *statements):
        if "postgresql" in type(self.server).__name__.lower():
            connection = psycopg.connect(self.server._dsn("postgres"), autocommit=True)
        else:
            connection = pymysql.connect(host="127.0.0.1", port=self.server.port, user="root", autocommit=True)
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


class OfPostgreSQL(Administrator):
    def demote(self):
        self.execute(
            f"ALTER DATABASE {self.name} SET default_transaction_read_only = on",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'",
        )

    def promote(self):
        self.execute(f"ALTER DATABASE {self.name} RESET default_transaction_read_only")


class OfMariaDB(Administrator):
    def demote(self):
        self.execute("SET GLOBAL read_only = ON", "KILL USER tutorial")

    def promote(self):
        self.execute("SET GLOBAL read_only = OFF")


@pytest.fixture
def administrator(system, request):
    kind = system.database_url.partition("+")[0]
    made = {"postgresql": OfPostgreSQL, "mysql": OfMariaDB}[kind](
        system.database_url, request.getfixturevalue({"mysql": "mariadb"}.get(kind, kind))
    )
    yield made
    made.promote()


@pytest.mark.parametrize("system", ["rabbitmq+postgresql", "rabbitmq+mariadb"], indirect=True)
def test_services_wait_for_the_end_of_a_failover(system, administrator):
    url = system.gallery()
    gallery = system.processes[-1]
    services = system.start_with_backlog()
    before = {name: service.log.read_text().count(NOTICED) for name, service in services.items()}
    administrator.demote()
    for name in ("oat-tracker", "oat-producer"):
        wait_until(lambda n=name: services[n].log.read_text().count(NOTICED) > before[n] + 3, f"some of {name}")
    with ThreadPoolExecutor() as clients:  # each is answered when the gallery has waited for some seconds
        asked = [
            clients.submit(http.post, f"{url}/v1/fractals", json={"width": 16, "height": 16}) for _ in range(2)
        ]
        answers = [each.result() for each in asked]
    assert [answer.status_code for answer in answers] == [503, 503], answers[-1].text
    assert http.get(f"{url}/v1/fractals").status_code == 200
    administrator.promote()
    wait_until(lambda: http.post(f"{url}/v1/fractals", json={"width": 16, "height": 16}).is_success, "a new task")
    system.assert_recovers(services)
    for process in (*services.values(), gallery):
        assert "Traceback" not in process.log.read_text()
