"""The first tables, the trigger that keeps a finished job finished, and the view of all moves."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = (
    """
    CREATE TABLE jobs (
        id UUID NOT NULL,
        tool_name TEXT NOT NULL,
        parameters JSONB NOT NULL,
        status TEXT NOT NULL,
        reason TEXT,
        message TEXT,
        progress DOUBLE PRECISION,
        progress_message TEXT,
        queue TEXT NOT NULL,
        priority SMALLINT NOT NULL,
        fence INTEGER DEFAULT '0' NOT NULL,
        attempt INTEGER DEFAULT '0' NOT NULL,
        max_attempts INTEGER NOT NULL,
        retry_delay_seconds DOUBLE PRECISION NOT NULL,
        losses INTEGER DEFAULT '0' NOT NULL,
        soft_limit_seconds DOUBLE PRECISION NOT NULL,
        hard_limit_seconds DOUBLE PRECISION NOT NULL,
        worker TEXT,
        worker_id UUID,
        return_code INTEGER,
        duration_seconds DOUBLE PRECISION,
        last_seq INTEGER DEFAULT '0' NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        queued_at TIMESTAMP WITH TIME ZONE,
        next_attempt_at TIMESTAMP WITH TIME ZONE,
        started_at TIMESTAMP WITH TIME ZONE,
        completed_at TIMESTAMP WITH TIME ZONE,
        cancel_requested_at TIMESTAMP WITH TIME ZONE,
        cancel_terminates BOOLEAN DEFAULT false NOT NULL,
        CONSTRAINT pk_jobs PRIMARY KEY (id),
        CONSTRAINT ck_jobs_status CHECK (
            status IN ('pending', 'queued', 'running', 'completed', 'failed', 'cancelled')
        ),
        CONSTRAINT ck_jobs_reason CHECK (
            reason IN ('error', 'usage', 'signal', 'out_of_memory', 'soft_time_limit',
                       'hard_time_limit', 'worker_lost', 'shutdown', 'cancelled')
        ),
        CONSTRAINT ck_jobs_priority CHECK (priority BETWEEN 1 AND 10),
        CONSTRAINT ck_jobs_attempt CHECK (attempt BETWEEN 0 AND max_attempts AND attempt <= fence),
        CONSTRAINT ck_jobs_worker CHECK ((status = 'running') = (worker IS NOT NULL)),
        CONSTRAINT ck_jobs_worker_id CHECK ((worker IS NULL) = (worker_id IS NULL)),
        CONSTRAINT ck_jobs_completed_at CHECK (
            (status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)
        )
    )
    """,
    """
    CREATE INDEX ix_jobs_by_status ON jobs (status, created_at DESC, id DESC)
    """,
    """
    CREATE INDEX ix_jobs_by_tool ON jobs (tool_name, created_at DESC, id DESC)
    """,
    """
    CREATE INDEX ix_jobs_held ON jobs (worker_id) WHERE status = 'running'
    """,
    """
    CREATE INDEX ix_jobs_newest ON jobs (created_at DESC, id DESC)
    """,
    """
    CREATE INDEX ix_jobs_waiting ON jobs (id) WHERE status IN ('pending', 'queued')
    """,
    """
    CREATE TABLE job_events (
        job_id UUID NOT NULL,
        seq INTEGER NOT NULL,
        last_seq INTEGER NOT NULL,
        kind TEXT NOT NULL,
        fence INTEGER NOT NULL,
        at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        data JSONB NOT NULL,
        CONSTRAINT pk_job_events PRIMARY KEY (job_id, seq),
        CONSTRAINT fk_job_events_job_id_jobs
            FOREIGN KEY (job_id) REFERENCES jobs (id) ON DELETE CASCADE,
        CONSTRAINT ck_job_events_kind CHECK (kind IN ('status', 'progress', 'log')),
        CONSTRAINT ck_job_events_seq CHECK (last_seq >= seq AND seq >= 1)
    )
    """,
    """
    CREATE TABLE results (
        job_id UUID NOT NULL,
        fence INTEGER NOT NULL,
        output TEXT NOT NULL,
        output_bytes BIGINT NOT NULL,
        error TEXT NOT NULL,
        error_bytes BIGINT NOT NULL,
        left_out_lines BIGINT DEFAULT '0' NOT NULL,
        CONSTRAINT pk_results PRIMARY KEY (job_id),
        CONSTRAINT fk_results_job_id_jobs
            FOREIGN KEY (job_id) REFERENCES jobs (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE artifacts (
        id UUID NOT NULL,
        job_id UUID NOT NULL,
        fence INTEGER NOT NULL,
        name TEXT NOT NULL,
        media_type TEXT NOT NULL,
        size BIGINT NOT NULL,
        sha256 TEXT NOT NULL,
        location TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_artifacts PRIMARY KEY (id),
        CONSTRAINT fk_artifacts_job_id_jobs
            FOREIGN KEY (job_id) REFERENCES jobs (id) ON DELETE CASCADE,
        CONSTRAINT uq_artifacts_job_id_name UNIQUE (job_id, name)
    )
    """,
    """
    CREATE TABLE workers (
        id UUID NOT NULL,
        name TEXT NOT NULL,
        host TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        pid INTEGER NOT NULL,
        process_started_at DOUBLE PRECISION NOT NULL,
        queues TEXT[] NOT NULL,
        concurrency INTEGER NOT NULL,
        isolation TEXT NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        lease_until TIMESTAMP WITH TIME ZONE NOT NULL,
        is_draining BOOLEAN DEFAULT false NOT NULL,
        CONSTRAINT pk_workers PRIMARY KEY (id),
        CONSTRAINT uq_workers_name UNIQUE (name)
    )
    """,
    """
    CREATE TABLE tool_statistics (
        tool_name TEXT NOT NULL,
        runs BIGINT NOT NULL,
        successes BIGINT NOT NULL,
        failures BIGINT NOT NULL,
        cancels BIGINT NOT NULL,
        duration_min_seconds DOUBLE PRECISION,
        duration_mean_seconds DOUBLE PRECISION,
        duration_p50_seconds DOUBLE PRECISION,
        duration_p95_seconds DOUBLE PRECISION,
        duration_max_seconds DOUBLE PRECISION,
        wait_p50_seconds DOUBLE PRECISION,
        wait_p95_seconds DOUBLE PRECISION,
        last_run_at TIMESTAMP WITH TIME ZONE,
        last_success_at TIMESTAMP WITH TIME ZONE,
        last_failure_at TIMESTAMP WITH TIME ZONE,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_tool_statistics PRIMARY KEY (tool_name)
    )
    """,
)

# The second line behind the guards: whatever writes, no job takes a step outside the table of
# moves, and none that has ended changes its status again.
GUARD = """
    CREATE FUNCTION refuse_illegal_move() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.status || ' > ' || NEW.status NOT IN (
            'pending > queued', 'pending > running', 'pending > cancelled',
            'queued > running', 'queued > cancelled',
            'running > completed', 'running > failed', 'running > cancelled', 'running > queued'
        ) THEN
            RAISE EXCEPTION 'job %: no move leads from % to %', OLD.id, OLD.status, NEW.status
                USING ERRCODE = 'check_violation', CONSTRAINT = 'jobs_legal_move';
        END IF;
        RETURN NEW;
    END $$
"""
TRIGGER = """
    CREATE TRIGGER jobs_legal_move BEFORE UPDATE OF status ON jobs
    FOR EACH ROW EXECUTE FUNCTION refuse_illegal_move()
"""
TRANSITIONS = """
    CREATE VIEW job_transitions AS
    SELECT job_id, seq, fence, at,
           data ->> 'move' AS move,
           lag(data ->> 'status') OVER (PARTITION BY job_id ORDER BY seq) AS from_status,
           data ->> 'status' AS to_status,
           data ->> 'reason' AS reason
    FROM job_events
    WHERE kind = 'status' AND data ->> 'move' <> 'request_cancel'
"""


def upgrade() -> None:
    """Make everything."""
    for statement in TABLES:
        op.execute(statement)
    op.execute(GUARD)
    op.execute(TRIGGER)
    op.execute(TRANSITIONS)
