"""The routers: the API for programs, the pages for people, and the health checks for machines."""

from oat.web.routers.api import router as api
from oat.web.routers.health import router as health
from oat.web.routers.pages import router as pages

__all__ = ["api", "health", "pages"]
