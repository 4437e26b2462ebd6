"""MariaDB, where every service keeps its records: one database each, which the others never look into.

It listens on a socket only. Root needs no password there (the kernel tells who calls), the services share a user.
"""

from cloud.processes import Process
from cloud.service import run, succeeds
from cloud.settings import Cloud

DATABASES: tuple[str, ...] = ()


def configure(cloud: Cloud) -> None:
    """Makes the system tables, once."""
    folder = cloud.state / "mariadb"
    if not (folder / "mysql").exists():
        run(
            cloud,
            [
                "mariadb-install-db",
                "--no-defaults",
                "--user=root",
                f"--datadir={folder}",
                "--skip-test-db",
                "--auth-root-authentication-method=socket",
                "--auth-root-socket-user=root",
            ],
            "mariadb-install",
        )


def migrations(cloud: Cloud) -> list[list[str]]:
    """None: it is where the others have theirs."""
    return []


def processes(cloud: Cloud) -> list[Process]:
    """The server, with little memory; a commit need not reach the disk at once here."""
    return [
        Process(
            "mariadb",
            [
                "/usr/sbin/mariadbd",
                "--no-defaults",
                "--user=root",
                f"--datadir={cloud.state}/mariadb",
                f"--socket={cloud.database_socket}",
                f"--pid-file={cloud.run}/mariadb.pid",
                "--skip-networking",
                "--max-connections=500",
                "--innodb-buffer-pool-size=128M",
                "--innodb-flush-log-at-trx-commit=0",
                "--performance-schema=off",
            ],
            ready=lambda: succeeds(cloud, "mariadb", f"--socket={cloud.database_socket}", "--execute=SELECT 1"),
            stop_seconds=60,
        )
    ]


def create_databases(cloud: Cloud, names: list[str]) -> None:
    """Makes the databases, and the user that owns them. May be run again at any time."""
    password = cloud.passwords["database"]
    statements = [f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb3;" for name in names]
    statements += [
        f"CREATE OR REPLACE USER openstack@localhost IDENTIFIED BY '{password}';",
        *[f"GRANT ALL ON {name}.* TO openstack@localhost;" for name in names],
    ]
    run(
        cloud,
        ["mariadb", f"--socket={cloud.database_socket}", f"--execute={' '.join(statements)}"],
        "mariadb-create",
    )
