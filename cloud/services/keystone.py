"""Keystone, the Identity service: users, projects, roles, and the catalogue of all other services.

Whoever calls an API shows a token. Keystone gives it out against a password, for one project, and tells the
service that got it whose it is and which roles that user has there. Its tokens are encrypted with the keys in
`fernet`, so nothing of them is kept.
"""

import dataclasses
import json
import urllib.request

from cloud.processes import Process
from cloud.service import api
from cloud.settings import GATEWAY, REGION, Cloud

DATABASES: tuple[str, ...] = ("keystone",)


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
    process = api(cloud, "keystone", "keystone.wsgi.api", environment=environment)
    return [dataclasses.replace(process, ready=lambda: _checks_a_token(cloud))]


def _checks_a_token(cloud: Cloud) -> bool:
    """Whether it gives out a token and accepts it.

    Asked alone before anyone else asks: two first requests at once fail, over an attribute that one of them has
    yet to make (keystone/common/rbac_enforcer/enforcer.py).
    """
    user = {"name": "admin", "domain": {"id": "default"}, "password": cloud.passwords["admin"]}
    project = {"name": "admin", "domain": {"id": "default"}}
    identity = {"methods": ["password"], "password": {"user": user}}
    url = cloud.url("keystone") + "/v3/auth/tokens"
    order = json.dumps({"auth": {"identity": identity, "scope": {"project": project}}}).encode()
    request = urllib.request.Request(url, data=order, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            token = response.headers["X-Subject-Token"]
        check = urllib.request.Request(url, headers={"X-Auth-Token": token, "X-Subject-Token": token})
        with urllib.request.urlopen(check, timeout=20):
            return True
    except OSError:
        return False
