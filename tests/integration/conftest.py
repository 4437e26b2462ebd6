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


@pytest.fixture
def target(bucket):
    return bucket
