"""What must hold of every job after any run, each sentence beside the query for what breaks it.

The queries know the tables and nothing of the code that writes them: which moves are legal, who
may make them and how they count is written here a second time, on purpose.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invariant:
    """A promise, and the query that returns who breaks it as `(job_id, detail)`: no row is well."""

    name: str
    promise: str
    broken: str
    needs_settling: bool = False
    """True when it holds only once every job was given the time to end."""


INVARIANTS = (
    Invariant(
        "one end",
        "A job ends at most once, and leaves its end for no other state.",
        """
        SELECT job_id, 'ended ' || count(*) || ' times' FROM job_transitions
        WHERE to_status IN ('completed', 'failed', 'cancelled') GROUP BY job_id HAVING count(*) > 1
        UNION ALL
        SELECT job_id, 'went from ' || from_status || ' to ' || to_status
        FROM job_transitions WHERE from_status IN ('completed', 'failed', 'cancelled')
        """,
    ),
    Invariant(
        "silence after the end",
        "Nothing happens to a job that has ended: no line, no progress, no wish.",
        """
        SELECT event.job_id, event.kind || ' ' || event.seq || ' after the end ' || ended.seq
        FROM job_events AS event JOIN job_transitions AS ended
          ON ended.job_id = event.job_id AND event.seq > ended.seq
         AND ended.to_status IN ('completed', 'failed', 'cancelled')
        """,
    ),
    Invariant(
        "legal moves",
        "Every change of status is one of the moves there are, made from where it may be made.",
        """
        SELECT job_id, 'seq ' || seq || ': ' || move || ' from ' || coalesce(from_status, '-')
            || ' to ' || to_status
        FROM job_transitions
        WHERE (move, coalesce(from_status, '-'), to_status) NOT IN (
            ('create', '-', 'pending'), ('enqueue', 'pending', 'queued'),
            ('claim', 'pending', 'running'), ('claim', 'queued', 'running'),
            ('revoke', 'pending', 'cancelled'), ('revoke', 'queued', 'cancelled'),
            ('complete', 'running', 'completed'), ('fail', 'running', 'failed'),
            ('stop', 'running', 'cancelled'), ('retry', 'running', 'queued'),
            ('release', 'running', 'queued'), ('rescue', 'running', 'queued'),
            ('poison', 'running', 'failed'), ('abandon', 'running', 'cancelled')
        )
        """,
    ),
    Invariant(
        "nobody starts early",
        "A job that waits for a moment is not claimed before it.",
        """
        SELECT job_id, 'claimed at ' || at || ', due at ' || due_at FROM (
            SELECT job_id, at, data ->> 'move' AS move,
                   lag((data ->> 'next_attempt_at')::timestamptz)
                       OVER (PARTITION BY job_id ORDER BY seq) AS due_at
            FROM job_events WHERE kind = 'status'
        ) AS moves WHERE move = 'claim' AND at < due_at
        """,
    ),
    Invariant(
        "a promised cancel is kept",
        "A running job of which a cancel was promised is cancelled, whatever its tool did.",
        """
        SELECT wish.job_id, after.move || ' after a cancel was promised'
        FROM job_events AS wish JOIN job_transitions AS after
          ON after.job_id = wish.job_id AND after.seq > wish.seq
         AND after.move NOT IN ('stop', 'abandon')
        WHERE wish.kind = 'status' AND wish.data ->> 'move' = 'request_cancel'
        UNION ALL
        SELECT id, 'claimed after a cancel was promised' FROM jobs
        WHERE started_at > cancel_requested_at
        """,
    ),
    Invariant(
        "wishes reach running jobs",
        "Only of a running job is a cancel requested; a waiting one is cancelled at once.",
        """
        SELECT job_id, 'a cancel was requested of a job that was '
            || coalesce(data ->> 'status', 'nothing')
        FROM job_events WHERE kind = 'status' AND data ->> 'move' = 'request_cancel'
          AND data ->> 'status' IS DISTINCT FROM 'running'
        """,
    ),
    Invariant(
        "its holder ends it",
        "An attempt is ended, handed back or lost by the worker that claimed it, no other.",
        """
        SELECT ended.job_id, ended.data ->> 'move' || ' by ' || (ended.data ->> 'worker')
            || ' of what ' || (claim.data ->> 'worker') || ' holds'
        FROM job_events AS ended JOIN job_events AS claim
          ON claim.job_id = ended.job_id AND claim.fence = ended.fence
         AND claim.kind = 'status' AND claim.data ->> 'move' = 'claim'
        WHERE ended.kind = 'status'
          AND ended.data ->> 'move' IN
              ('complete', 'fail', 'stop', 'retry', 'release', 'rescue', 'poison', 'abandon')
          AND ended.data ->> 'worker' IS DISTINCT FROM claim.data ->> 'worker'
        """,
    ),
    Invariant(
        "lines stand where they belong",
        "What an attempt printed under its own tag is stored under its own fence.",
        """
        SELECT event.job_id, 'fence ' || event.fence || ' holds the line ' || (line ->> 2)
        FROM job_events AS event, jsonb_array_elements(event.data -> 'lines') AS line
        WHERE event.kind = 'log' AND starts_with(line ->> 2, event.job_id || ':')
          AND split_part(split_part(line ->> 2, ' ', 1), ':', 2) <> event.fence::text
        """,
    ),
    Invariant(
        "all is settled",
        "Every job comes to an end.",
        """
        SELECT id, 'still ' || status FROM jobs
        WHERE status NOT IN ('completed', 'failed', 'cancelled')
        """,
        needs_settling=True,
    ),
    Invariant(
        "nobody waits unwanted",
        "No job waits of which a cancel was promised: nobody would ever claim it.",
        """
        SELECT id, status || ' although cancelled' FROM jobs
        WHERE status IN ('pending', 'queued') AND cancel_requested_at IS NOT NULL
        """,
    ),
    Invariant(
        "everything is counted",
        "fence = claims; attempt = claims - releases - losses, within the budget; losses = losses.",
        """
        SELECT id, format(
            'fence %s, attempt %s of %s, losses %s; claims %s, releases %s, losses %s',
            fence, attempt, max_attempts, losses, claims, releases, lost)
        FROM jobs LEFT JOIN LATERAL (
            SELECT count(*) FILTER (WHERE move = 'claim') AS claims,
                   count(*) FILTER (WHERE move = 'release') AS releases,
                   count(*) FILTER (WHERE move IN ('rescue', 'poison', 'abandon')) AS lost
            FROM job_transitions WHERE job_id = id
        ) AS counted ON true
        WHERE fence <> claims OR attempt <> claims - releases - lost OR losses <> lost
           OR attempt NOT BETWEEN 0 AND max_attempts
        """,
    ),
    Invariant(
        "fences only grow",
        "Each claim raises the fence by one, nothing else changes it.",
        """
        SELECT job_id, format('seq %s: %s at fence %s after fence %s', seq, what, fence, before)
        FROM (
            SELECT job_id, seq, fence, coalesce(data ->> 'move', kind) AS what,
                   lag(fence, 1, 0) OVER (PARTITION BY job_id ORDER BY seq) AS before
            FROM job_events
        ) AS events WHERE fence <> before + (what = 'claim')::int
        """,
    ),
    Invariant(
        "numbers without holes",
        "The events of a job are numbered 1 to n, and its row knows the last number.",
        """
        SELECT job_id, format('seq %s follows %s', seq, before) FROM (
            SELECT job_id, seq,
                   lag(last_seq, 1, 0) OVER (PARTITION BY job_id ORDER BY seq) AS before
            FROM job_events
        ) AS events WHERE seq <> before + 1
        UNION ALL
        SELECT id, format('row says %s, events say %s', jobs.last_seq, max(event.last_seq))
        FROM jobs LEFT JOIN job_events AS event ON job_id = id
        GROUP BY id HAVING jobs.last_seq IS DISTINCT FROM max(event.last_seq)
        """,
    ),
    Invariant(
        "the last move is the row",
        "A job is where its last move led.",
        """
        SELECT id, format('row says %s, last move says %s', status, last.to_status)
        FROM jobs LEFT JOIN LATERAL (
            SELECT to_status FROM job_transitions WHERE job_id = id ORDER BY seq DESC LIMIT 1
        ) AS last ON true WHERE status IS DISTINCT FROM last.to_status
        """,
    ),
    Invariant(
        "a holder while it runs",
        "A worker is named exactly while a job runs; its end is dated exactly when it has ended.",
        """
        SELECT id, format('%s, worker %s, completed at %s', status, worker, completed_at)
        FROM jobs
        WHERE (status = 'running') <> (worker IS NOT NULL)
           OR (status = 'running') <> (worker_id IS NOT NULL)
           OR (status IN ('completed', 'failed', 'cancelled')) <> (completed_at IS NOT NULL)
        """,
    ),
    Invariant(
        "no result is lost",
        "Who completed, or failed by a tool, has that attempt's result; files are that attempt's.",
        """
        SELECT ended.job_id, format('%s at fence %s, result of fence %s',
            ended.move, ended.fence, results.fence)
        FROM job_transitions AS ended LEFT JOIN results ON results.job_id = ended.job_id
        WHERE ended.move IN ('complete', 'fail') AND results.fence IS DISTINCT FROM ended.fence
        UNION ALL
        SELECT job_id, format('%s is of fence %s, the job at %s', name, artifacts.fence, jobs.fence)
        FROM artifacts JOIN jobs ON jobs.id = job_id WHERE artifacts.fence <> jobs.fence
        """,
    ),
)
"""All of them, as queries. What is outside the database stands in `checker.py` and `ticks.py`."""
