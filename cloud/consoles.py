"""Reads the consoles of the containers into console.log, where Nova looks for what a server has printed.

libvirt's LXC driver makes a pseudo terminal for each console and no file. Unread, it is full after 4 KiB, and
the container's systemd stands still. The driver also leaves this machine's end of a container's network device
down now and then, so that is put up here too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import libvirt  # Debian's, without types

_PAUSE = 0.2  # seconds; a container that boots prints 4 KiB in less than one


def _copy(terminal: str, file: str) -> None:
    try:
        source = os.open(terminal, os.O_RDONLY | os.O_NOCTTY)
        with Path(file).open("ab", buffering=0) as target:
            while data := os.read(source, 4096):
                target.write(data)
    except OSError:  # the container has ended
        pass


def _attend(domain: libvirt.virDomain, known: set[tuple[str, int]]) -> None:
    key = domain.UUIDString(), domain.ID()
    if key in known:
        return
    description = ET.fromstring(domain.XMLDesc())
    for target in description.iterfind("devices/interface/target"):
        subprocess.run(["ip", "link", "set", target.attrib["dev"], "up"], check=False)
    source, log = description.find("devices/console/source"), description.find("devices/console/log")
    if source is not None and log is not None:
        known.add(key)
        threading.Thread(target=_copy, args=(source.get("path"), log.get("file")), daemon=True).start()


def main(uri: str) -> None:
    """Looks for new containers for ever; libvirtd may come and go."""
    known: set[tuple[str, int]] = set()
    connection = None
    while True:
        try:
            connection = connection or libvirt.open(uri)
            for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                _attend(domain, known)
        except libvirt.libvirtError:
            connection = None
            time.sleep(1)
        time.sleep(_PAUSE)


if __name__ == "__main__":
    main(sys.argv[1])
