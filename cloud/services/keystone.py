"""Keystone, the Identity service: users, projects, roles, and the catalogue of all other services.

Whoever calls an API shows a token. Keystone gives it out against a password, for one project, and tells the service
that got it whose it is and which roles that user has there. Its tokens are encrypted with the keys in `fernet`, so
nothing of them is kept.
"""

from cloud.processes import Process
from cloud.service import api
from cloud.settings import GATEWAY, REGION, Cloud

DATABASES = ("keystone",)


def configure(cloud: Cloud) -> None:
    """Writes keystone.conf. Without a cache each request costs the others a dozen of Keystone's queries."""
    for folder in "fernet", "credential":
        (cloud.state / "keystone" / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    cloud.write(
        "keystone/keystone.conf",
        f"""\
[DEFAULT]
public_endpoint = {cloud.url("keystone", GATEWAY)}

[database]
connection = {cloud.database("keystone")}

[token]
provider = fernet

[fernet_tokens]
key_repository = {cloud.state}/keystone/fernet

[credential]
key_repository = {cloud.state}/keystone/credential

[cache]
enabled = true
backend = dogpile.cache.memory
""",
    )


def migrations(cloud: Cloud) -> list[list[str]]:
    """Tables, keys, and the first user, admin, with the catalogue's first entry, Keystone itself."""
    manage = ["keystone-manage", "--config-file", f"{cloud.etc}/keystone/keystone.conf"]
    root = ["--keystone-user", "root", "--keystone-group", "root"]
    return [
        [*manage, "db_sync"],
        [*manage, "fernet_setup", *root],
        [*manage, "credential_setup", *root],
        [
            *manage,
            "bootstrap",
            *["--bootstrap-password", cloud.passwords["admin"]],
            *["--bootstrap-region-id", REGION],
            *["--bootstrap-public-url", f"{cloud.url('keystone', GATEWAY)}/v3"],
            *["--bootstrap-internal-url", f"{cloud.url('keystone')}/v3"],
            *["--bootstrap-admin-url", f"{cloud.url('keystone')}/v3"],
        ],
    ]


def processes(cloud: Cloud) -> list[Process]:
    """The API."""
    environment = {"OS_KEYSTONE_CONFIG_DIR": f"{cloud.etc}/keystone"}
    return [api(cloud, "keystone", "keystone.wsgi.api", environment=environment, path="/v3")]
