"""Waits until Nova's compute node and Neutron's agents have reported. Run inside the virtual environment."""

import time

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
    connection = connect(Cloud())
    state = ""
    deadline = time.monotonic() + _LIMIT
    while time.monotonic() < deadline:
        try:
            computes = [service.state for service in connection.compute.services(binary="nova-compute")]
            agents = [agent.is_alive for agent in connection.network.agents()]
        except (HttpException, ConnectFailure) as error:  # an API that has only just started
            state = str(error)
        else:
            if computes == ["up"] and agents and all(agents):
                return
            state = f"nova-compute: {computes}, agents of Neutron alive: {agents}"
        time.sleep(0.5)
    raise TimeoutError(state)


if __name__ == "__main__":
    main()
