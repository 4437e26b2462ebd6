"""Readiness: a service tells the service manager that it is at work, by systemd's protocol (`Type=notify`)."""

import contextlib
import os
import socket


def notify_ready() -> None:
    """Tell whoever started us, if it listens, that we are connected and at work. Saying so again is harmless."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect(address.replace("@", "\0", 1) if address.startswith("@") else address)
        sock.send(b"READY=1")
