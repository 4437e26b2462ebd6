"""Serves a WSGI application of OpenStack with gunicorn: wsgi.py NAME MODULE ADDRESS... -- [ARGUMENT...].

The modules read their options from sys.argv when they are imported, so gunicorn's own must not be there. One
process with threads: enough for one machine, and the modules keep connections that a fork would share.
"""

import importlib
import sys
from typing import Any

import gunicorn.util
from gunicorn.app.base import BaseApplication

name, module, *rest = sys.argv[1:]
end = rest.index("--")
addresses, arguments = rest[:end], rest[end + 1 :]
sys.argv = [name, *arguments]
gunicorn.util._setproctitle = lambda title: None  # keeps the command line readable in ps


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn with its settings given here, not on a command line."""

    def load_config(self) -> None:
        """Sets them."""
        settings: dict[str, Any] = {
            "bind": addresses,
            "workers": 1,
            "worker_class": "gthread",
            "threads": 8,
            "timeout": 300,  # seconds; a create that asks five services is slow on a busy machine
            "keepalive": 75,  # seconds; longer than the services' clients keep a connection that they do not use
            "graceful_timeout": 3,
            "proc_name": name,
            "control_socket_disable": True,
        }
        for key, value in settings.items():
            self.cfg.set(key, value)

    def load(self) -> Any:
        """The application."""
        return importlib.import_module(module).application


Server().run()
