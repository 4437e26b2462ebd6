"""A way out for a chapter that installs something: a cable to this machine, which translates addresses."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.guard import guard_command

FORWARDING = Path(__file__).resolve().parents[1] / "helpers" / "forwarding"

NAME = f"oat{os.getpid()}"
NETWORK, HERE, THERE = (f"10.98.{os.getpid() // 64 % 256}.{os.getpid() % 64 * 4 + host}" for host in (0, 1, 2))
"""A network of four addresses for each process: a guard that is late must not delete another one's rules."""

RULES = (
    ("-t", "nat", "POSTROUTING", "-s", f"{NETWORK}/30", "-j", "MASQUERADE"),
    ("FORWARD", "-s", f"{NETWORK}/30", "-j", "ACCEPT"),
    ("FORWARD", "-d", f"{NETWORK}/30", "-j", "ACCEPT"),
)


@contextmanager
def uplink() -> Iterator[list[str]]:
    """Yield the words before a command that runs it in a network of its own with a way out. Needs root."""
    try:
        run("ip", "netns", "add", NAME)
        guard_command(["ip", "netns", "delete", NAME])
        run("ip", "link", "add", NAME, "type", "veth", "peer", "name", "eth0", "netns", NAME)
        run("ip", "address", "add", f"{HERE}/30", "dev", NAME)
        run("ip", "link", "set", NAME, "up")
        run("ip", "-n", NAME, "address", "add", f"{THERE}/30", "dev", "eth0")
        run("ip", "-n", NAME, "link", "set", "eth0", "up")
        run("ip", "-n", NAME, "route", "add", "default", "via", HERE)
        with forwarding():
            for rule in RULES:
                run(*rule_command("-I", rule))
                guard_command(rule_command("-D", rule))
            yield ["nsenter", f"--net=/run/netns/{NAME}"]
    finally:
        for rule in RULES:
            run(*rule_command("-D", rule), check=False)
        run("ip", "netns", "delete", NAME, check=False)  # and with it the cable


@contextmanager
def forwarding() -> Iterator[None]:
    """Have this machine pass packets on for the block, or until this process is gone."""
    with subprocess.Popen([FORWARDING], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        if not holder.stdout.readline():
            raise OSError("packets cannot be passed on here")
        yield  # then its standard input is closed, and it is waited for


def rule_command(what: str, rule: tuple[str, ...]) -> list[str]:
    """Return the words of a command that inserts (-I) or deletes (-D) a rule of netfilter."""
    table, chain = (rule[:2], rule[2:]) if rule[0] == "-t" else ((), rule)
    return ["iptables", *table, what, *chain]


def run(*command: str, check: bool = True) -> None:
    """Run a command."""
    subprocess.run(command, check=check, capture_output=True)
