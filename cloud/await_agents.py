"""Waits until Nova's compute node and Neutron's agents have reported. Run inside the virtual environment."""

import json
import time
from datetime import UTC, datetime
from typing import Any

from keystoneauth1.exceptions import ConnectFailure
from openstack.exceptions import HttpException

from cloud.identity import connect
from cloud.settings import Cloud

_LIMIT = 180  # seconds


def main() -> None:
    """Waits.

    Raises:
        TimeoutError: they have not, in three minutes.
    """
    cloud = Cloud()
    started = json.loads((cloud.run / "processes/nova-compute.json").read_text())["started_at"]
    connection = connect(cloud)
    state = ""
    deadline = time.monotonic() + _LIMIT
    while time.monotonic() < deadline:
        try:
            computes = [_state(service, started) for service in connection.compute.services(binary="nova-compute")]
            agents = [agent.is_alive for agent in connection.network.agents()]
        except (HttpException, ConnectFailure) as error:  # an API that has only just started
            state = str(error)
        else:
            if computes == ["up"] and agents and all(agents):
                return
            state = f"nova-compute: {computes}, agents of Neutron alive: {agents}"
        time.sleep(0.5)
    raise TimeoutError(state)


def _state(service: Any, started: float) -> str:
    """Up, if it has reported since it was started: Nova believes a report for a minute, the last run's too."""
    reported = datetime.fromisoformat(service.updated_at).replace(tzinfo=UTC) if service.updated_at else None
    return str(service.state) if reported and reported.timestamp() > started else "not heard from"


if __name__ == "__main__":
    main()
