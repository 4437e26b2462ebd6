"""Glance, the Image service: keeps the images that servers are made from, here as files in a folder.

Nova asks it for a new server's image, and keeps a copy of its own on the compute node.
"""

from cloud.processes import Process
from cloud.service import api
from cloud.settings import Cloud

DATABASES: tuple[str, ...] = ("glance",)


def configure(cloud: Cloud) -> None:
    """Writes glance-api.conf: one store, `disk`, and two folders for uploads under way."""
    for folder in "images", "staging", "tasks":
        (cloud.state / "glance" / folder).mkdir(parents=True, exist_ok=True)
    cloud.write(
        "glance/glance-api.conf",
        f"""\
[DEFAULT]
enabled_backends = disk:file
{cloud.transport}

[database]
connection = {cloud.database("glance")}

[glance_store]
default_backend = disk

[disk]
filesystem_store_datadir = {cloud.state}/glance/images

[os_glance_staging_store]
filesystem_store_datadir = {cloud.state}/glance/staging

[os_glance_tasks_store]
filesystem_store_datadir = {cloud.state}/glance/tasks

[paste_deploy]
flavor = keystone
config_file = {cloud.venv}/etc/glance/glance-api-paste.ini

[oslo_concurrency]
lock_path = {cloud.run}/lock-glance
{cloud.messaging}{cloud.keystone_authtoken}""",
    )


def migrations(cloud: Cloud) -> list[list[str]]:
    """Its tables."""
    return [["glance-manage", "--config-file", f"{cloud.etc}/glance/glance-api.conf", "db_sync"]]


def processes(cloud: Cloud) -> list[Process]:
    """The API."""
    return [api(cloud, "glance", "glance.wsgi.api", environment={"OS_GLANCE_CONFIG_DIR": f"{cloud.etc}/glance"})]
