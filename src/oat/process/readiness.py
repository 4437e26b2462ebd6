"""Readiness: a service notifies systemd, or another service manager, that it is ready (`Type=notify`).

The protocol is a datagram to the socket named by `NOTIFY_SOCKET`, see sd_notify(3).
"""

import contextlib
import os
import socket


def notify_ready() -> None:
    """Notify the service manager, if there is one, that this service is ready; may be called repeatedly."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect(address.replace("@", "\0", 1) if address.startswith("@") else address)
        sock.send(b"READY=1")
