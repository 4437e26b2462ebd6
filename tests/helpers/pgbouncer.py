"""A private PgBouncer, the pooler in front of a PostgreSQL."""

from pathlib import Path

from helpers.commands import as_unprivileged
from helpers.servers import MissingError, Server


class PgBouncer(Server):
    """A pooler in front of the PostgreSQL at `port_behind`; `options` are lines of its configuration."""

    BIN = Path("/usr/sbin/pgbouncer")
    port_behind: int

    def start(self):
        if not self.BIN.exists():
            raise MissingError("pgbouncer")
        config, users = self.folder / "pgbouncer.ini", self.folder / "users"
        users.write_text('"tutorial" ""\n')
        own = (
            "[databases]", f"* = host=127.0.0.1 port={self.port_behind}",
            "[pgbouncer]", "listen_addr = 127.0.0.1", f"listen_port = {self.port}", "unix_socket_dir =",
            "auth_type = trust", f"auth_file = {users}", "server_login_retry = 1",
        )  # fmt: skip
        config.write_text("\n".join([*own, *self.options, ""]))
        self.spawn(*as_unprivileged("postgres", self.folder), self.BIN, config, cwd="/")
        self.wait_until_ready()
        return self
