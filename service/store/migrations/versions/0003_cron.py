"""The ledger of cron runs, and what jobs that are cleaned up leave to the statistics."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """
    CREATE TABLE past_statistics (
        tool_name TEXT NOT NULL,
        successes BIGINT NOT NULL,
        failures BIGINT NOT NULL,
        cancels BIGINT NOT NULL,
        durations BIGINT NOT NULL,
        duration_sum_seconds DOUBLE PRECISION NOT NULL,
        duration_min_seconds DOUBLE PRECISION,
        duration_max_seconds DOUBLE PRECISION,
        last_run_at TIMESTAMP WITH TIME ZONE,
        last_success_at TIMESTAMP WITH TIME ZONE,
        last_failure_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_past_statistics PRIMARY KEY (tool_name)
    )
    """,
    """
    CREATE TABLE cron_runs (
        name TEXT NOT NULL,
        slot TIMESTAMP WITH TIME ZONE NOT NULL,
        status TEXT NOT NULL,
        attempt INTEGER DEFAULT '0' NOT NULL,
        worker TEXT,
        worker_id UUID,
        queued_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE,
        finished_at TIMESTAMP WITH TIME ZONE,
        outcome JSONB,
        error TEXT,
        CONSTRAINT pk_cron_runs PRIMARY KEY (name, slot),
        CONSTRAINT ck_cron_runs_status CHECK (
            status IN ('waiting', 'running', 'done', 'failed', 'skipped')
        )
    )
    """,
    """
    CREATE INDEX ix_cron_runs_unfinished ON cron_runs (name, slot)
    WHERE status IN ('waiting', 'running')
    """,
)


def upgrade() -> None:
    """Make both tables."""
    for statement in STATEMENTS:
        op.execute(statement)
