"""The tables, as SQLAlchemy Core knows them. Migrations make them; a test compares the two."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, UUID

from service.store.states import Reason, Status

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_MOMENT = TIMESTAMP(timezone=True)


def _one_of(column: str, values: type[Status] | type[Reason]) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("tool_name", sa.Text, nullable=False),
    sa.Column("parameters", JSONB, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("message", sa.Text),
    sa.Column("progress", sa.Double),
    sa.Column("progress_message", sa.Text),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("retry_delay_seconds", sa.Double, nullable=False),
    sa.Column("losses", sa.Integer, nullable=False, server_default="0"),
    sa.Column("soft_limit_seconds", sa.Double, nullable=False),
    sa.Column("hard_limit_seconds", sa.Double, nullable=False),
    sa.Column("worker", sa.Text),
    sa.Column("worker_id", UUID(as_uuid=True)),
    sa.Column("return_code", sa.Integer),
    sa.Column("duration_seconds", sa.Double),
    sa.Column("last_seq", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=sa.func.now()),
    sa.Column("queued_at", _MOMENT),
    sa.Column("next_attempt_at", _MOMENT),
    # When the dispatcher is to deliver it; none while a delivery is out and when it does not wait.
    sa.Column("deliver_at", _MOMENT),
    sa.Column("started_at", _MOMENT),
    sa.Column("completed_at", _MOMENT),
    sa.Column("cancel_requested_at", _MOMENT),
    sa.Column("cancel_terminates", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.CheckConstraint(_one_of("status", Status), "status"),
    sa.CheckConstraint(_one_of("reason", Reason), "reason"),
    sa.CheckConstraint("priority BETWEEN 1 AND 10", "priority"),
    sa.CheckConstraint("attempt BETWEEN 0 AND max_attempts AND attempt <= fence", "attempt"),
    sa.CheckConstraint("(status = 'running') = (worker IS NOT NULL)", "worker"),
    sa.CheckConstraint("(worker IS NULL) = (worker_id IS NULL)", "worker_id"),
    sa.CheckConstraint(
        "(status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)",
        "completed_at",
    ),
    sa.Index("ix_jobs_newest", sa.text("created_at DESC"), sa.text("id DESC")),
    sa.Index("ix_jobs_by_tool", "tool_name", sa.text("created_at DESC"), sa.text("id DESC")),
    sa.Index("ix_jobs_by_status", "status", sa.text("created_at DESC"), sa.text("id DESC")),
    # The dispatcher and the rescuer read these alone, however many jobs have ended.
    sa.Index(
        "ix_jobs_undelivered", "deliver_at", postgresql_where=sa.text("deliver_at IS NOT NULL")
    ),
    sa.Index(
        "ix_jobs_waiting",
        *("queue", "priority", "created_at", "id"),
        postgresql_where=sa.text("status IN ('pending', 'queued')"),
    ),
    sa.Index(
        "ix_jobs_out",
        *("queue", "priority", "created_at", "id"),
        postgresql_where=sa.text("status IN ('pending', 'queued') AND deliver_at IS NULL"),
    ),
    sa.Index("ix_jobs_held", "worker_id", postgresql_where=sa.text("status = 'running'")),
)

job_events = sa.Table(
    "job_events",
    metadata,
    sa.Column("job_id", UUID(as_uuid=True), primary_key=True),
    # The first number of the row; a batch of log lines goes on to `last_seq`.
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("last_seq", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("at", _MOMENT, nullable=False, server_default=sa.func.clock_timestamp()),
    sa.Column("data", JSONB, nullable=False),
    sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
    sa.CheckConstraint("kind IN ('status', 'progress', 'log')", "kind"),
    sa.CheckConstraint("last_seq >= seq AND seq >= 1", "seq"),
)

results = sa.Table(
    "results",
    metadata,
    sa.Column("job_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("output", sa.Text, nullable=False),
    sa.Column("output_bytes", sa.BigInteger, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("error_bytes", sa.BigInteger, nullable=False),
    sa.Column("left_out_lines", sa.BigInteger, nullable=False, server_default="0"),
    sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
)

artifacts = sa.Table(
    "artifacts",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("job_id", UUID(as_uuid=True), nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=sa.func.now()),
    sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
    sa.UniqueConstraint("job_id", "name"),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("body_hash", sa.LargeBinary, nullable=False),
    sa.Column("job_id", UUID(as_uuid=True), nullable=False),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=sa.func.now()),
    # The key is taken before its job is there, in one transaction.
    sa.ForeignKeyConstraint(
        ["job_id"], ["jobs.id"], ondelete="CASCADE", deferrable=True, initially="DEFERRED"
    ),
    sa.Index("ix_idempotency_keys_job_id", "job_id"),
    sa.Index("ix_idempotency_keys_created_at", "created_at"),
)

workers = sa.Table(
    "workers",
    metadata,
    # A new id each time a worker of that name starts: jobs belong to the id, people read the name.
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("boot_id", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("process_started_at", sa.Double, nullable=False),
    sa.Column("queues", ARRAY(sa.Text), nullable=False),
    sa.Column("concurrency", sa.Integer, nullable=False),
    sa.Column("isolation", sa.Text, nullable=False),
    sa.Column("started_at", _MOMENT, nullable=False, server_default=sa.func.now()),
    sa.Column("lease_until", _MOMENT, nullable=False),
    sa.Column("is_draining", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("is_standby", sa.Boolean, nullable=False, server_default=sa.false()),
)

tool_statistics = sa.Table(
    "tool_statistics",
    metadata,
    sa.Column("tool_name", sa.Text, primary_key=True),
    sa.Column("runs", sa.BigInteger, nullable=False),
    sa.Column("successes", sa.BigInteger, nullable=False),
    sa.Column("failures", sa.BigInteger, nullable=False),
    sa.Column("cancels", sa.BigInteger, nullable=False),
    sa.Column("duration_min_seconds", sa.Double),
    sa.Column("duration_mean_seconds", sa.Double),
    sa.Column("duration_p50_seconds", sa.Double),
    sa.Column("duration_p95_seconds", sa.Double),
    sa.Column("duration_max_seconds", sa.Double),
    sa.Column("wait_p50_seconds", sa.Double),
    sa.Column("wait_p95_seconds", sa.Double),
    sa.Column("last_run_at", _MOMENT),
    sa.Column("last_success_at", _MOMENT),
    sa.Column("last_failure_at", _MOMENT),
    sa.Column("updated_at", _MOMENT, nullable=False, server_default=sa.func.now()),
)

# What jobs that are cleaned up leave to the statistics of their tools; see store/statistics.py.
past_statistics = sa.Table(
    "past_statistics",
    metadata,
    sa.Column("tool_name", sa.Text, primary_key=True),
    sa.Column("successes", sa.BigInteger, nullable=False),
    sa.Column("failures", sa.BigInteger, nullable=False),
    sa.Column("cancels", sa.BigInteger, nullable=False),
    sa.Column("durations", sa.BigInteger, nullable=False),
    sa.Column("duration_sum_seconds", sa.Double, nullable=False),
    sa.Column("duration_min_seconds", sa.Double),
    sa.Column("duration_max_seconds", sa.Double),
    sa.Column("last_run_at", _MOMENT),
    sa.Column("last_success_at", _MOMENT),
    sa.Column("last_failure_at", _MOMENT),
)

cron_runs = sa.Table(
    "cron_runs",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("slot", _MOMENT, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("worker", sa.Text),
    sa.Column("worker_id", UUID(as_uuid=True)),
    sa.Column("queued_at", _MOMENT, nullable=False, server_default=sa.func.now()),
    sa.Column("started_at", _MOMENT),
    sa.Column("finished_at", _MOMENT),
    sa.Column("outcome", JSONB),
    sa.Column("error", sa.Text),
    sa.CheckConstraint("status IN ('waiting', 'running', 'done', 'failed', 'skipped')", "status"),
    # Each round of recovery reads these alone.
    sa.Index(
        "ix_cron_runs_unfinished",
        "name",
        "slot",
        postgresql_where=sa.text("status IN ('waiting', 'running')"),
    ),
)
