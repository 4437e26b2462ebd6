"""What integration tests run on: the real servers."""

from uuid import uuid4

import pytest

pytest.register_assert_rewrite("unit.records", "unit.storage", "unit.messaging")


@pytest.fixture(params=["mariadb", "postgresql"])
def database_url(request):
    return request.getfixturevalue(request.param).database(uuid4().hex[:8])


@pytest.fixture
def broker_url(vhost):
    return vhost


@pytest.fixture(params=["seaweedfs", "moto"])
def target(request, monkeypatch):
    """A target in each object store, under a prefix of the test's own."""
    server = request.getfixturevalue(request.param)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    return f"s3://{server.BUCKET}/{uuid4().hex[:8]}"
