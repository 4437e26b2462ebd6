"""Two galleries behind a load balancer, through a floating IP."""

from __future__ import annotations

from collections import Counter

from conftest import parameters
from helpers import TEMPLATES, Application, Stack, inside, until


def connections(stack: Stack, role: str) -> int:
    """How many connections a server has accepted since it started."""
    lines = inside(stack.servers(role)[0], ["cat", "/proc/self/net/snmp"]).stdout.splitlines()
    names, values = [line.split()[1:] for line in lines if line.startswith("Tcp:")]
    return int(dict(zip(names, values, strict=True))["PassiveOpens"])


def test_both_galleries_answer(tiers: Stack, application: Application) -> None:
    before = application.gallery
    tiers.update(TEMPLATES / "tiers.yaml", TEMPLATES / "load-balancer.env", **parameters(), worker_count=1)
    assert tiers.outputs()["gallery"] == before

    def served() -> Counter[str]:
        """How many of 40 connections each has got; none if one did not answer, as until the address has moved."""
        roles = "tracker", "gallery"
        earlier = {role: connections(tiers, role) for role in roles}
        if not all(application.answers() for _ in range(40)):
            return Counter()
        return Counter({role: connections(tiers, role) - earlier[role] for role in roles})

    until("connections to both", lambda: min((share := served())["tracker"], share["gallery"]) >= 5)
    uuids = application.create(20)
    until("20 images", lambda: application.has_done(uuids))
    application.audit()
