"""The gallery and the API: the records and the images, in a browser and for programs."""

from oat.web.app import application
from oat.web.backend import Backend
from oat.web.service import Web

__all__ = ["Backend", "Web", "application"]
