"""Marks that several tests share."""

import pytest

embedded_and_servers = pytest.mark.parametrize("system", ["embedded", "rabbitmq+mariadb"], indirect=True)
"""Run with the embedded default, and on RabbitMQ with MariaDB: the other databases would show nothing more."""
