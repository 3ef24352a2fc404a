"""How soon the jobs of a killed worker could run again."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

READ = """
    SELECT * FROM (
        SELECT job_id, move, extract(epoch FROM at)::float8 AS at, worker,
               lead(move) OVER job AS next_move,
               extract(epoch FROM lead(at) OVER job)::float8 AS next_at
        FROM (
            SELECT job_id, seq, at, data ->> 'move' AS move, data ->> 'worker' AS worker
            FROM job_events WHERE kind = 'status'
        ) AS events WHERE move NOT IN ('request_cancel', 'enqueue')
        WINDOW job AS (PARTITION BY job_id ORDER BY seq)
    ) AS moves WHERE move = 'claim' AND next_move = 'rescue'
"""
"""Every claim that ended in a rescue."""


def takeover_seconds(
    rows: Iterable[Mapping[str, Any]], killed_at: Mapping[str, Sequence[float]]
) -> list[float]:
    """Return, sorted, the time from a worker's death to the rescue of each job it held."""
    return sorted(
        row["next_at"] - moment
        for row in rows
        for moment in killed_at.get(row["worker"], ())
        if row["at"] < moment < row["next_at"]
    )
