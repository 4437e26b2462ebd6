"""Keystone's records that make the services a cloud, and a project for its user.

Run inside the virtual environment. May be run again at any time: what is there stays, addresses are set anew.
(Passwords are not: that would end all tokens of the user, which the other services keep.)
"""

import json
from typing import Any

from openstack.connection import Connection

import openstack
from cloud.settings import GATEWAY, LOOPBACK, REGION, Cloud

SERVICES = (  # name, type, path of its API; public endpoints are where servers can reach them too
    ("glance", "image", ""),
    ("placement", "placement", ""),
    ("nova", "compute", "/v2.1"),
    ("neutron", "network", ""),
    ("heat", "orchestration", "/v1/%(tenant_id)s"),
    ("heat-cfn", "cloudformation", "/v1"),
    ("swift", "object-store", "/v1/AUTH_%(tenant_id)s"),
    ("aodh", "alarming", ""),
    ("prometheus", "metric-storage", ""),
    ("octavia", "load-balancer", ""),
)
_ONE_ADDRESS = {"swift": GATEWAY, "prometheus": LOOPBACK}  # of those that listen in one place only


def main() -> None:
    """Makes catalogue, roles, projects, users."""
    cloud = Cloud()
    connection = connect(cloud)
    _catalogue(cloud, connection)
    identity = connection.identity
    roles = {role.name: role for role in identity.roles()}
    for name in (
        "service",
        "member",
        "heat_stack_owner",
        "heat_stack_user",
        "swiftoperator",
        "load-balancer_member",
    ):
        if name not in roles:
            roles[name] = identity.create_role(name=name)
    _user(cloud, connection, "service", _project(connection, "service"), roles, ("admin", "service"))
    tutorial = _project(connection, "tutorial")
    _user(cloud, connection, "tutorial", tutorial, roles, ("member", "heat_stack_owner", "load-balancer_member"))
    _give_keys(
        cloud,
        connection,
        _user(cloud, connection, "tutorial-objects", tutorial, roles, ("swiftoperator",)),
        tutorial,
    )
    # Heat keeps the users that its servers signal with in a domain of their own, away from people's.
    domain = identity.find_domain("heat") or identity.create_domain(name="heat")
    administrator = identity.find_user("heat_domain_admin", domain_id=domain.id) or identity.create_user(
        name="heat_domain_admin", domain_id=domain.id, password=cloud.passwords["heat_domain_admin"]
    )
    identity.assign_domain_role_to_user(domain, administrator, roles["admin"])


def connect(cloud: Cloud) -> Connection:
    """A connection as admin, on loopback."""
    return openstack.connect(
        auth_url=f"{cloud.url('keystone')}/v3",
        username="admin",
        password=cloud.passwords["admin"],
        project_name="admin",
        user_domain_id="default",
        project_domain_id="default",
        region_name=REGION,
        interface="internal",
    )


def _catalogue(cloud: Cloud, connection: Connection) -> None:
    identity = connection.identity
    for name, kind, path in SERVICES:
        service = identity.find_service(name) or identity.create_service(name=name, type=kind)
        existing = {endpoint.interface: endpoint for endpoint in identity.endpoints(service_id=service.id)}
        outer, inner = _ONE_ADDRESS.get(name, GATEWAY), _ONE_ADDRESS.get(name, LOOPBACK)
        for interface, address in ("public", outer), ("internal", inner), ("admin", inner):
            url = cloud.url(name, address) + path
            if endpoint := existing.get(interface):
                identity.update_endpoint(endpoint, url=url)
            else:
                identity.create_endpoint(service_id=service.id, interface=interface, url=url, region_id=REGION)


def _project(connection: Connection, name: str) -> Any:
    return connection.identity.find_project(name) or connection.identity.create_project(
        name=name, domain_id="default"
    )


def _user(
    cloud: Cloud, connection: Connection, name: str, project: Any, roles: dict[str, Any], granted: tuple[str, ...]
) -> Any:
    identity = connection.identity
    user = identity.find_user(name, domain_id="default") or identity.create_user(
        name=name, domain_id="default", password=cloud.passwords[name]
    )
    for role in granted:
        identity.assign_project_role_to_user(project, user, roles[role])
    return user


def _give_keys(cloud: Cloud, connection: Connection, user: Any, project: Any) -> None:
    """Gives a user EC2 credentials, for S3.

    They are for servers, which keep objects in the project's account: of all services only Swift knows this user's
    role. Users with the role `member` make such keys themselves: `openstack ec2 credentials create`.
    """
    keys = {"access": cloud.passwords["objects_access_key"], "secret": cloud.passwords["objects_secret_key"]}
    known = [
        json.loads(credential.blob) for credential in connection.identity.credentials(type="ec2", user_id=user.id)
    ]
    if keys["access"] not in [credential["access"] for credential in known]:
        connection.identity.create_credential(
            type="ec2", blob=json.dumps(keys), user_id=user.id, project_id=project.id
        )


if __name__ == "__main__":
    main()
