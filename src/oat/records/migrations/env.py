"""Alembic runs this file: the migrations, on the connection that `migrate` has put into the configuration."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
