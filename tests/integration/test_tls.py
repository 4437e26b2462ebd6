"""Encrypted connections are a matter of the URL, and a server that cannot prove its name gets no password."""

import shutil
from uuid import uuid4

import pymysql
import pytest
import trustme

from helpers.commands import as_unprivileged
from helpers.guard import temporary_folder
from helpers.processes import terminate
from helpers.servers import MariaDB, PostgreSQL, RabbitMQ, SeaweedFS
from helpers.system import System
from helpers.waiting import free_port, wait_until


class Certificates:
    """An authority of the test's own, and the certificate it gave to a server called `name`."""

    def __init__(self, folder, name):
        folder.mkdir()
        authority = trustme.CA()
        self.ca, self.certificate, self.key = folder / "ca.pem", folder / "server.pem", folder / "server.key"
        authority.cert_pem.write_to_path(self.ca)
        issued = authority.issue_cert(name)
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.key)
        self.key.chmod(0o600)


@pytest.fixture(params=["localhost", "elsewhere.example"])
def name(request):
    """Whose certificate the server has: its own, or that of another."""
    return request.param


@pytest.fixture
def certificates(tmp_path, name):
    return Certificates(tmp_path / "certificates", name)


@pytest.fixture
def serve():
    """Starts a server of some kind with further options."""
    with temporary_folder() as folder:
        servers = []

        def start(kind, *options):
            servers.append(kind(folder, options=options).start())
            return servers[-1]

        yield start
        for server in servers:
            server.discard()


@pytest.fixture
def amqps(serve, certificates):
    port = free_port()
    serve(
        RabbitMQ, f"listeners.ssl.1 = 127.0.0.1:{port}", f"ssl_options.cacertfile = {certificates.ca}",
        f"ssl_options.certfile = {certificates.certificate}", f"ssl_options.keyfile = {certificates.key}",
    )  # fmt: skip
    return f"amqps://guest:guest@localhost:{port}/"


def test_amqps(amqps, certificates, name, tmp_path):
    with System(tmp_path, amqps, SSL_CERT_FILE=str(certificates.ca)) as system:
        if name != "localhost":
            done = system.call("oat-tracker")
            assert done.returncode == 1
            assert "localhost" in done.stderr.splitlines()[-1]
            assert "certificate" in done.stderr.splitlines()[-1]
            return
        worker, tracker = system.start("oat-worker"), system.start("oat-tracker")
        system.produce(100)
        system.wait_for(100)
        terminate(worker)
        terminate(tracker)
        system.audit(100)
        del system.environment["SSL_CERT_FILE"]  # an authority that nobody here knows
        done = system.call("oat-tracker")
        assert done.returncode == 1
        assert "self-signed" in done.stderr.splitlines()[-1]


@pytest.fixture
def mysql(serve, certificates):
    server = serve(
        MariaDB, f"--ssl-ca={certificates.ca}", f"--ssl-cert={certificates.certificate}",
        f"--ssl-key={certificates.key}",
    )  # fmt: skip
    url = server.database("tls").replace("127.0.0.1", "localhost")
    with pymysql.connect(host="127.0.0.1", port=server.port, user="root") as connection:
        connection.cursor().execute("ALTER USER tutorial@localhost REQUIRE SSL")
    return url


def test_mysql(mysql, certificates, name, tmp_path):
    with System(tmp_path, None, f"{mysql}?ssl_ca={certificates.ca}") as system:
        if name == "localhost":
            system.produce(5)
            assert len(system.records()) == 5
        else:
            rejects_the_certificate(system)


@pytest.fixture
def postgres(serve, certificates):
    with temporary_folder() as folder:
        key = shutil.copy(certificates.key, folder)
        as_unprivileged("postgres", key)
        certificate = shutil.copy(certificates.certificate, folder)
        options = {"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key}
        server = serve(
            PostgreSQL, *(word for name, value in options.items() for word in ("-c", f"{name}={value}"))
        )
        yield server.database("tls").replace("127.0.0.1", "localhost")


def test_postgresql(postgres, certificates, name, tmp_path):
    with System(tmp_path, None, f"{postgres}?sslmode=verify-full&sslrootcert={certificates.ca}") as system:
        if name == "localhost":
            system.produce(5)
            assert len(system.records()) == 5
        else:
            rejects_the_certificate(system)


def rejects_the_certificate(system):
    producer = system.start("oat-producer", "--one-shot")
    wait_until(lambda: "certificate" in producer.log.read_text(), "a log line")
    assert "secretsecret" not in producer.log.read_text()
    producer.kill()


def test_an_object_store(serve, certificates, name, tmp_path, monkeypatch):
    server = serve(SeaweedFS, f"-s3.cert.file={certificates.certificate}", f"-s3.key.file={certificates.key}")
    variables = server.variables | {"SSL_CERT_FILE": str(certificates.ca)}
    variables["AWS_ENDPOINT_URL"] = f"https://localhost:{server.port}"
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    with System(tmp_path, OAT_TARGET=f"s3://{SeaweedFS.BUCKET}/{uuid4()}") as system:
        worker = system.start("oat-worker")
        if name == "localhost":
            system.start("oat-tracker")
            system.produce(5)
            system.wait_for(5)
            system.audit(5)
        else:
            wait_until(lambda: "trying again" in worker.log.read_text(), "a log line")
            assert "processing" not in worker.log.read_text()
