"""Stops this server's workers when Heat is about to delete the server, and tells Heat when they have finished.

Heat lists the server's deployments in an object of Swift whose address (a temporary URL) came with the user data.
One with the action DELETE is the request to drain; its signal goes to another temporary URL. Standard library
only: it is run by the system's Python.
"""

import json
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

CONFIGURATION = Path(
    "/var/lib/heat-cfntools/cfn-init-data"
)  # written by cloud-init, from what Heat adds to user data
POLL_INTERVAL = 2.0  # seconds; a scale-in takes this much longer at most
TIMEOUT = 10.0  # seconds, of a request


def deployments(url: str) -> list[dict[str, Any]]:
    """Return the deployments that Heat has for this server; none before the first."""
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        listed = json.load(response).get("deployments", [])
    return list(listed)


def drain(inputs: dict[str, str]) -> None:
    """Stop the workers, which finish the images in flight, and report the exit status to Heat."""
    stopped = subprocess.run(["systemctl", "stop", "oat-worker@*"], capture_output=True, text=True, check=False)
    report = {
        "deploy_status_code": stopped.returncode,
        "deploy_stdout": "drained",
        "deploy_stderr": stopped.stderr,
    }
    request = urllib.request.Request(
        inputs["deploy_signal_id"],
        data=json.dumps(report).encode(),
        method=inputs.get("deploy_signal_verb", "PUT"),
    )
    urllib.request.urlopen(request, timeout=TIMEOUT).close()
    print("drained:", report)


def main() -> None:
    """Poll until the server is deleted."""
    url = json.loads(CONFIGURATION.read_text())["os-collect-config"]["request"]["metadata_url"]
    reported: set[str] = set()
    while True:
        try:
            for deployment in deployments(url):
                inputs = {each["name"]: each.get("value", "") for each in deployment["inputs"]}
                if inputs.get("deploy_action") == "DELETE" and deployment["id"] not in reported:
                    drain(inputs)
                    reported.add(deployment["id"])
        except OSError as error:  # Swift does not answer: polled again
            print(error)
        time.sleep(POLL_INTERVAL)


if __name__ == "__main__":
    main()
