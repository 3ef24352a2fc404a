"""The keys of requests that may be repeated."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    # Checked at the end of the transaction: the key is taken first, so that of two requests at
    # once the second waits before it has written anything.
    """
    CREATE TABLE idempotency_keys (
        owner TEXT NOT NULL,
        key TEXT NOT NULL,
        body_hash BYTEA NOT NULL,
        job_id UUID NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_idempotency_keys PRIMARY KEY (owner, key),
        CONSTRAINT fk_idempotency_keys_job_id_jobs FOREIGN KEY (job_id) REFERENCES jobs (id)
            ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
    )
    """,
    "CREATE INDEX ix_idempotency_keys_job_id ON idempotency_keys (job_id)",
    "CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at)",
)


def upgrade() -> None:
    """Make the table."""
    for statement in STATEMENTS:
        op.execute(statement)
