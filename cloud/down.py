"""`make cloud-down`: ends all that was started, and takes back what it made in this machine."""

from __future__ import annotations

from cloud import workspace
from cloud.processes import Process, Supervisor
from cloud.progress import say
from cloud.services import mariadb, nova, octavia, openvswitch, rabbitmq
from cloud.settings import Cloud


def down(cloud: Cloud) -> None:
    """Ends the cloud. Its state stays; what is down already is no error."""
    supervisor = Supervisor(cloud)
    # First nova-compute: it would take a server that ends for one that its user has stopped.
    supervisor.stop([nova.compute(cloud)])
    if supervisor.alive("libvirtd"):
        workspace.shut_down_servers(cloud)
        say("servers: shut down")
    foundations: list[Process] = [*mariadb.processes(cloud), *rabbitmq.processes(cloud)]
    foundations += [*openvswitch.processes(cloud), *openvswitch.ovn_processes(cloud)]
    last = {process.name for process in foundations}
    supervisor.stop([record for name, record in supervisor.records().items() if name not in last])
    say("services: ended")
    supervisor.stop(openvswitch.ovn_processes(cloud))
    openvswitch.delete_bridges(cloud)
    supervisor.stop(foundations)
    supervisor.stop_strays()
    workspace.clear_remains(cloud, supervisor)
    workspace.restore_mounts(cloud)
    octavia.remove_sockets()
    say(f"the cloud is down; its state is in {cloud.folder}")
