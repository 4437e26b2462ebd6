"""A gallery with a worker and a tracker, which the tests of the API and the pages share."""

import pytest

from helpers import http
from helpers.system import System


@pytest.fixture(scope="package")
def running(tmp_path_factory):
    """The embedded system with worker, tracker and gallery; it ends with these tests: its waiting is not free."""
    with System(tmp_path_factory.mktemp("web"), OAT_WRITE_RATE="100000/minute") as system:
        system.start("oat-worker")
        system.start("oat-tracker")
        system.url = system.gallery()
        yield system


@pytest.fixture
def api(running):
    with http.Client(base_url=running.url) as client:
        yield client
