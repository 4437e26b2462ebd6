"""Indices for the gallery: for a page of one state, newest first, and for what was finished last."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create both indices."""
    op.create_index(
        "ix_fractals_status_created_at", "fractals", ["status", "created_at", "uuid"], if_not_exists=True
    )
    op.create_index("ix_fractals_finished_at", "fractals", ["finished_at"], if_not_exists=True)
