"""Waits until Nova's compute node and Neutron's OVN controller have reported. Run inside the virtual environment."""

import time

from cloud.identity import connect
from cloud.settings import Cloud

_LIMIT = 180  # seconds


def main() -> None:
    """Waits.

    Raises:
        TimeoutError: they have not, in three minutes.
    """
    connection = connect(Cloud())
    deadline = time.monotonic() + _LIMIT
    while time.monotonic() < deadline:
        computes = [service.state for service in connection.compute.services(binary="nova-compute")]
        agents = [agent.is_alive for agent in connection.network.agents()]
        if computes == ["up"] and agents and all(agents):
            return
        time.sleep(0.5)
    raise TimeoutError(f"nova-compute: {computes}, agents of Neutron alive: {agents}")


if __name__ == "__main__":
    main()
