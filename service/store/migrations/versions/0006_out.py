"""Jobs of which a delivery is out are found beside any number that are put off."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Index what is out, in the order in which it is delivered."""
    op.execute(
        "CREATE INDEX ix_jobs_out ON jobs (queue, priority, created_at, id)"
        " WHERE status IN ('pending', 'queued') AND deliver_at IS NULL"
    )
