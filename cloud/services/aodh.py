"""Aodh, the Alarming service: asks Prometheus for a number again and again, and calls a URL when it is too large.

The API keeps the alarms, aodh-evaluator asks, aodh-notifier calls: a scaling policy of Heat, say.
"""

from cloud.processes import Process
from cloud.service import api
from cloud.settings import Cloud

DATABASES: tuple[str, ...] = ("aodh",)


def configure(cloud: Cloud) -> None:
    """Writes aodh.conf, into a folder where the API finds it: it looks into its home and takes no argument."""
    cloud.write(
        "aodh/.aodh/aodh.conf",
        f"""\
[DEFAULT]
{cloud.transport}

[database]
connection = {cloud.database("aodh")}

[api]
auth_mode = keystone

[evaluator]
# Seconds. Prometheus has a new value every five.
evaluation_interval = 10

[service_credentials]
interface = internal
{cloud.credentials}{cloud.messaging}{cloud.keystone_authtoken}""",
    )


def migrations(cloud: Cloud) -> list[list[str]]:
    """Its tables."""
    return [["aodh-dbsync", *_configuration(cloud)]]


def processes(cloud: Cloud) -> list[Process]:
    """The API, the evaluator, the notifier."""
    return [
        api(cloud, "aodh", "aodh.wsgi.api", environment={"HOME": f"{cloud.etc}/aodh"}),
        Process("aodh-evaluator", ["aodh-evaluator", *_configuration(cloud)]),
        Process("aodh-notifier", ["aodh-notifier", *_configuration(cloud)]),
    ]


def _configuration(cloud: Cloud) -> list[str]:
    return ["--config-file", f"{cloud.etc}/aodh/.aodh/aodh.conf"]
