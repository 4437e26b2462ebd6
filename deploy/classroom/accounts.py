"""Accounts for a class on one server: a vhost and a database for each learner, and a file with their settings.

    python deploy/classroom/accounts.py create 30 --host server.example --folder accounts
    python deploy/classroom/accounts.py remove --folder accounts

Run it where RabbitMQ runs, as root. ADMIN_DATABASE_URL is the address of MariaDB, MySQL or PostgreSQL with a user
who may create databases and users. Run again, it keeps the secrets of the files that are there, and adds what is
missing. Secrets are in these files alone, which only their owner may read.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

PREFIX = "learner"
"""What names of learners, their vhosts and databases begin with; a number follows."""

MAX_LEARNERS = 99
"""Their numbers have two digits."""

SECRET_BYTES = 18
"""Random bytes of a password: 144 bits."""

SETTINGS = re.compile(rf"OAT_BROKER_URL=amqp://({PREFIX}\d\d):([A-Za-z0-9_-]{{24}})@")
"""How a file of settings begins: name and secret. The characters of a secret need no quotes in SQL or a URL."""


MYSQL_HOSTS = ("%", "localhost")
"""Where learners may come from: anywhere. A server prefers its anonymous users of localhost, if any, to `%`."""

REMOVE = """
    [begin catch rabbit_vhost:delete(Name, <<"accounts">>),
           catch rabbit_auth_backend_internal:delete_user(Name, <<"accounts">>)
     end || Name <- Names],
    [] = [Name || Name <- Names, rabbit_vhost:exists(Name) orelse rabbit_auth_backend_internal:exists(Name)].
"""
"""Erlang, for RabbitMQ: removes the vhosts and users `Names`, and fails if one is left."""


class Learner(NamedTuple):
    """The account of one learner; the name is that of the user, the vhost and the database."""

    name: str
    secret: str


class CommandError(Exception):
    """A server refuses; the text says why, without secrets."""


def read(folder: Path) -> list[Learner]:
    """Return the learners whose files are in `folder`."""
    found = (SETTINGS.match(path.read_text()) for path in sorted(folder.glob(f"{PREFIX}[0-9][0-9].env")))
    return [Learner(match[1], match[2]) for match in found if match]


def write(folder: Path, learner: Learner, host: str, database: sa.URL) -> None:
    """Write the settings of `learner` into a file that only its owner may read."""
    url = sa.URL.create(database.drivername, learner.name, learner.secret, host, database.port, learner.name)
    text = f"OAT_BROKER_URL=amqp://{learner.name}:{learner.secret}@{host}:5672/{learner.name}\n"
    text += f"OAT_DATABASE_URL={url.render_as_string(hide_password=False)}\n"
    path = folder / f"{learner.name}.env"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def definitions(learners: Sequence[Learner]) -> str:
    """Return what RabbitMQ imports: users, vhosts and permissions, with hashes instead of secrets.

    Source of the hash: RabbitMQ's documentation, "Passwords": salt and SHA-256 of salt and password, in Base64.
    """

    def hashed(secret: str) -> str:
        salt = secrets.token_bytes(4)
        return base64.b64encode(salt + hashlib.sha256(salt + secret.encode()).digest()).decode()

    algorithm = "rabbit_password_hashing_sha256"
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return json.dumps({
        "users": [
            # In the management page they see their own vhost.
            {"name": name, "password_hash": hashed(secret), "hashing_algorithm": algorithm, "tags": ["management"]}
            for name, secret in learners
        ],
        "vhosts": [{"name": name} for name, _ in learners],
        "permissions": [{"user": name, "vhost": name, **everything} for name, _ in learners],
    })  # fmt: skip


def create_in_mysql(learner: Learner) -> Iterator[str]:
    """Yield the statements that create the database of `learner`, or change its password."""
    name, secret = learner
    yield f"CREATE DATABASE IF NOT EXISTS {name}"
    for host in MYSQL_HOSTS:
        yield f"CREATE USER IF NOT EXISTS {name}@'{host}' IDENTIFIED BY '{secret}'"
        yield f"ALTER USER {name}@'{host}' IDENTIFIED BY '{secret}'"
        yield f"GRANT ALL ON {name}.* TO {name}@'{host}'"


def create_in_postgresql(learner: Learner, databases: Sequence[str], roles: Sequence[str]) -> Iterator[str]:
    """Yield the statements that create the database of `learner`, or change its password."""
    name, secret = learner
    yield f"{'ALTER' if name in roles else 'CREATE'} ROLE {name} LOGIN PASSWORD '{secret}'"
    if name not in databases:
        yield f"GRANT {name} TO CURRENT_USER"
        yield f"CREATE DATABASE {name} OWNER {name}"
    yield f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"


def remove_from(postgresql: bool, learner: Learner) -> Iterator[str]:
    """Yield the statements that remove the database and the user of `learner`."""
    if postgresql:
        yield f"DROP DATABASE IF EXISTS {learner.name} WITH (FORCE)"
        yield f"DROP ROLE IF EXISTS {learner.name}"
    else:
        yield f"DROP DATABASE IF EXISTS {learner.name}"
        for host in MYSQL_HOSTS:
            yield f"DROP USER IF EXISTS {learner.name}@'{host}'"


def in_database(url: sa.URL, learners: Sequence[Learner], remove: bool) -> None:
    """Create or remove the databases and users of `learners`.

    Raises:
        CommandError: the database refuses.
    """
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    postgresql = engine.dialect.name == "postgresql"
    try:
        with engine.connect() as connection:
            databases, roles = (
                connection.exec_driver_sql(query).scalars().all() if postgresql else ()
                for query in ("SELECT datname FROM pg_database", "SELECT rolname FROM pg_roles")
            )
            for learner in learners:
                if remove:
                    statements = remove_from(postgresql, learner)
                elif postgresql:
                    statements = create_in_postgresql(learner, databases, roles)
                else:
                    statements = create_in_mysql(learner)
                for statement in statements:
                    connection.exec_driver_sql(statement.replace("%", "%%"))
    except sa.exc.DBAPIError as error:
        text = str(error.orig)  # not the statement: it has the secret
        for learner in learners:
            text = text.replace(learner.secret, "***")
        raise CommandError(f"the database {url.render_as_string()} refuses: {text}") from None
    finally:
        engine.dispose()


def rabbitmqctl(program: str) -> Callable[..., str]:
    """Return a function that runs `program` with the given arguments, and returns its output."""

    def run(*arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 (names of learners are checked)
            [program, "--quiet", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise CommandError(f"rabbitmqctl {arguments[0]}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    return run


def create(options: argparse.Namespace, database: sa.URL, control: Callable[..., str]) -> None:
    """Create what is missing for the first `count` learners."""
    options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = {learner.name: learner for learner in read(options.folder)}
    names = [f"{PREFIX}{number:02d}" for number in range(1, options.count + 1)]
    learners = [known.get(name) or Learner(name, secrets.token_urlsafe(SECRET_BYTES)) for name in names]
    # The files first: what is interrupted goes on with the same secrets.
    for learner in learners:
        write(options.folder, learner, options.host, database)
    in_database(database, learners, remove=False)
    # From a file: with Erlang 27, rabbitmqctl waits for ever for the end of its standard input. It runs as the
    # user rabbitmq, and has to read it; there are but salted hashes of random secrets in it.
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(definitions(learners))
        file.flush()
        os.fchmod(file.fileno(), 0o644)
        control("import_definitions", "--format", "json", file.name)
    print(
        f"{len(learners)} learners, {len(set(names) - known.keys())} of them new: {options.folder}/{PREFIX}NN.env"
    )


def remove(options: argparse.Namespace, database: sa.URL, control: Callable[..., str]) -> None:
    """Remove all that belongs to the learners whose files are in the folder, and the files."""
    learners = read(options.folder)
    in_database(database, learners, remove=True)
    # One call: each takes rabbitmqctl two seconds, and there are two for each learner.
    names = ", ".join(f'<<"{learner.name}">>' for learner in learners)
    control("eval", f"Names = [{names}], {REMOVE}")
    for learner in learners:
        (options.folder / f"{learner.name}.env").unlink()
    print(f"{len(learners)} learners removed")


def main() -> int:
    """Create or remove the accounts; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rabbitmqctl", default="rabbitmqctl", help="the program, if it is not on the PATH")
    commands = parser.add_subparsers(dest="command", required=True)
    creating, removing = commands.add_parser("create"), commands.add_parser("remove")
    creating.add_argument("count", type=int, choices=range(1, MAX_LEARNERS + 1), metavar=f"1..{MAX_LEARNERS}")
    creating.add_argument("--host", required=True, help="the name or address by which learners reach this server")
    for each in (creating, removing):
        each.add_argument("--folder", type=Path, default=Path("accounts"), help="of the files with the settings")
    options = parser.parse_args()
    if not (address := os.environ.get("ADMIN_DATABASE_URL")):
        parser.error(
            "set ADMIN_DATABASE_URL, such as mysql+pymysql://root@localhost/?unix_socket=/run/mysqld/mysqld.sock"
        )
    try:
        command = {"create": create, "remove": remove}[options.command]
        command(options, sa.make_url(address), rabbitmqctl(options.rabbitmqctl))
    except (CommandError, OSError, sa.exc.ArgumentError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
