"""What unit tests run on: files in a temporary folder, no server."""

import pytest


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'oat.db'}"


@pytest.fixture
def target(tmp_path):
    """A directory for images."""
    return str(tmp_path / "images")


@pytest.fixture
def broker_url(tmp_path):
    return f"filesystem://{tmp_path / 'broker'}"
