"""The web service: gallery pages, HTTP API and event stream over the records and the images.

Requests pass the `middleware` and reach one of the `routers`, which ask the `Backend`.
"""

from oat.web.app import application
from oat.web.backend import Backend
from oat.web.server import WebServer

__all__ = ["Backend", "WebServer", "application"]
