"""The dispatcher's schedule: when each waiting job is to be delivered."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    "ALTER TABLE jobs ADD COLUMN deliver_at TIMESTAMP WITH TIME ZONE",
    """
    UPDATE jobs SET deliver_at = coalesce(next_attempt_at, now())
    WHERE status IN ('pending', 'queued')
    """,
    "DROP INDEX ix_jobs_waiting",
    """
    CREATE INDEX ix_jobs_waiting ON jobs (queue, priority, created_at, id)
        WHERE status IN ('pending', 'queued')
    """,
    "CREATE INDEX ix_jobs_undelivered ON jobs (deliver_at) WHERE deliver_at IS NOT NULL",
)


def upgrade() -> None:
    """Give every job that waits its moment, and the dispatcher its indexes."""
    for statement in STATEMENTS:
        op.execute(statement)
