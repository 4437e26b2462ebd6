"""Prometheus, the metric storage: asks servers for their metrics every few seconds, and keeps them for an hour.

It finds the servers by itself, in Nova's list: whoever wants to be asked gives a server the property
`prometheus_port` and an address on the network `public`. Each metric gets the label `project`, the server's
project; Aodh adds the same label to a user's question, so nobody's alarm looks at the metrics of others.
"""

import json

from cloud.processes import Process
from cloud.service import answers
from cloud.settings import LOOPBACK, OUTER_NETWORK, PORTS, REGION, Cloud

DATABASES: tuple[str, ...] = ()


def configure(cloud: Cloud) -> None:
    """Writes prometheus.yml (JSON is YAML)."""
    (cloud.state / "prometheus").mkdir(exist_ok=True)
    nova = {
        "role": "instance",
        "region": REGION,
        "identity_endpoint": f"{cloud.url('keystone')}/v3",
        "username": "admin",
        "password": cloud.passwords["admin"],
        "domain_name": "Default",
        "project_name": "admin",
        "all_tenants": True,
        "availability": "internal",
        "refresh_interval": "15s",
    }
    port, public = "__meta_openstack_tag_prometheus_port", "__meta_openstack_public_ip"
    outer = OUTER_NETWORK.rpartition(".")[0].replace(".", "\\.")
    relabel = [
        {"source_labels": [port], "regex": "[0-9]+", "action": "keep"},
        {"source_labels": ["__address__"], "regex": "(.*):[0-9]+", "target_label": "__address__"},
        {"source_labels": [public], "regex": "(.+)", "target_label": "__address__"},
        {"source_labels": ["__address__"], "regex": f"{outer}\\.[0-9]+", "action": "keep"},
        {"source_labels": ["__address__", port], "separator": ":", "target_label": "__address__"},
        {"source_labels": ["__meta_openstack_project_id"], "target_label": "project"},
        {"source_labels": ["__meta_openstack_instance_name"], "target_label": "server"},
    ]
    job = {"job_name": "servers", "openstack_sd_configs": [nova], "relabel_configs": relabel}
    configuration = {"global": {"scrape_interval": "5s"}, "scrape_configs": [job]}
    cloud.write("prometheus/prometheus.yml", json.dumps(configuration, indent=1))


def migrations(cloud: Cloud) -> list[list[str]]:
    """None: it keeps its own files."""
    return []


def processes(cloud: Cloud) -> list[Process]:
    """The server, on loopback only: it asks nobody who they are."""
    return [
        Process(
            "prometheus",
            [
                "/usr/bin/prometheus",
                f"--config.file={cloud.etc}/prometheus/prometheus.yml",
                f"--storage.tsdb.path={cloud.state}/prometheus",
                "--storage.tsdb.retention.time=1h",
                f"--web.listen-address={LOOPBACK}:{PORTS['prometheus']}",
            ],
            ready=lambda: answers(cloud.url("prometheus") + "/-/ready"),
        )
    ]
