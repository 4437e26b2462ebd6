"""The stack of tiers.yaml is deleted, and nothing of it is left."""

from __future__ import annotations

from openstack.connection import Connection

from helpers import Stack


def test_nothing_is_left_when_it_is_deleted(tiers: Stack, user: Connection) -> None:
    name, container = tiers.name, tiers.outputs()["container"]
    servers = {server.id for server in tiers.servers()}
    network = user.network.find_network(next(iter(tiers.servers("service")[0].addresses)))
    credentials = {credential.id for credential in user.identity.credentials(user_id=user.current_user_id)}
    tiers.delete()
    assert not servers & {server.id for server in user.compute.servers()}
    assert user.network.find_network(network.id) is None
    assert not list(user.network.ports(network_id=network.id))
    for kind in "routers", "security_groups", "networks":
        assert not [item.name for item in getattr(user.network, kind)() if item.name.startswith(name)]
    assert not [address for address in user.network.ips() if address.port_id is None]
    assert container not in [found.name for found in user.object_store.containers()]
    assert not [found.name for found in user.object_store.containers() if found.name.startswith(f"{name}-")]
    assert not [found.name for found in user.object_store.containers() if "-server-" in found.name]  # Heat's own
    assert not list(user.session.get("/v2/alarms", endpoint_filter={"service_type": "alarming"}).json())
    assert {credential.id for credential in user.identity.credentials(user_id=user.current_user_id)} <= credentials
