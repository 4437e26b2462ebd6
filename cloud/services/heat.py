"""Heat, the Orchestration service: makes, changes and deletes stacks, each of which a template describes.

heat-engine works out what depends on what and calls the other services in that order, in the user's name (a
trust). heat-cfn takes the signals: a server's "I am ready" for a wait condition, an alarm's "one more" for a
scaling policy. Whoever signals needs credentials, and gets a user of its own in the domain `heat`.
"""

from cloud.processes import Process
from cloud.service import api
from cloud.settings import GATEWAY, Cloud

DATABASES: tuple[str, ...] = ("heat",)


def configure(cloud: Cloud) -> None:
    """Writes heat.conf."""
    cloud.write(
        "heat/heat.conf",
        f"""\
[DEFAULT]
{cloud.transport}
heat_metadata_server_url = {cloud.url("heat-cfn", GATEWAY)}
heat_waitcondition_server_url = {cloud.url("heat-cfn", GATEWAY)}/v1/waitcondition
stack_user_domain_name = heat
stack_domain_admin = heat_domain_admin
stack_domain_admin_password = {cloud.passwords["heat_domain_admin"]}
num_engine_workers = 1
# Servers that take part in software deployments fetch their work from Swift, and answer there.
default_software_config_transport = POLL_TEMP_URL
default_deployment_signal_transport = TEMP_URL_SIGNAL
default_user_data_format = RAW
auth_encryption_key = {cloud.passwords["heat_encryption_key"]}
environment_dir = {cloud.venv}/etc/heat/environment.d
template_dir = {cloud.venv}/etc/heat/templates

[paste_deploy]
api_paste_config = {cloud.venv}/etc/heat/api-paste.ini

[database]
connection = {cloud.database("heat")}

[trustee]
auth_type = password
auth_url = {cloud.url("keystone")}
username = service
password = {cloud.passwords["service"]}
user_domain_id = default

[clients_keystone]
auth_uri = {cloud.url("keystone")}

[ec2authtoken]
endpoint_override = {cloud.url("keystone")}
{cloud.credentials}
[oslo_concurrency]
lock_path = {cloud.run}/lock-heat
{cloud.messaging}{cloud.keystone_authtoken}""",
    )


def migrations(cloud: Cloud) -> list[list[str]]:
    """Its tables."""
    return [["heat-manage", "--config-file", f"{cloud.etc}/heat/heat.conf", "db_sync"]]


def processes(cloud: Cloud) -> list[Process]:
    """The API, the one for signals, the engine."""
    configuration = ["--config-file", f"{cloud.etc}/heat/heat.conf"]
    return [
        api(cloud, "heat", "heat.wsgi.api", *configuration),
        api(cloud, "heat-cfn", "heat.wsgi.cfn", *configuration),
        Process("heat-engine", ["heat-engine", *configuration]),
    ]
