"""Runs one tool from its start to its end, and leaves nothing of it behind."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.execution.hold import Hold
from service.execution.isolation import Isolation
from service.execution.outcome import Limits, Outcome, Verdict, judge, judge_unstarted
from service.execution.output import Allowance, Transcript
from service.execution.process import ToolProcess
from service.execution.sink import Sink
from service.execution.stop import Stop, StopKind
from service.execution.supervision import Cause, SentSignal, supervise
from service.execution.tail import NO_TAIL, Tail
from service.store.states import Reason

_CANNOT_RUN = 126
"""A shell's exit code for a command that cannot be executed."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """What to run, and how long and how much it may."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    """The tool's whole environment; `DATA20_JOB` is added."""
    soft_limit_seconds: float
    hard_limit_seconds: float
    grace_seconds: float
    """Between asking to stop and killing."""
    log_limit_bytes: int
    """Output passed on to the sink; what comes after is counted."""
    tag: str
    """Names this run among all; every process of its tree carries it as `DATA20_JOB`."""


async def run(
    invocation: Invocation, sink: Sink, stop: Stop, isolation: Isolation, hold: Hold
) -> Outcome:
    """Run a tool and return when nothing of its process tree is left.

    When *hold* ends, the tree does, even if this process is stopped then.

    Never raises for what the tool does or for a tool that cannot be started: that is an outcome.
    An error of the sink kills the tree and is raised as it is; so does cancelling the task that
    awaits this. Belongs to a loop in a thread that lives as long as the process, because the tree
    dies with that thread.
    """
    begun_at = asyncio.get_running_loop().time()
    if stop.kind is not None:
        cause = Cause.RELEASE if stop.kind is StopKind.RELEASE else Cause.CANCEL
        return _outcome(judge_unstarted(cause))
    try:
        process = ToolProcess(
            invocation.argv, invocation.cwd, invocation.env, isolation, invocation.tag, hold
        )
    except (OSError, ValueError) as error:
        message = f"Cannot run {invocation.argv[0]}: {error}"
        return _outcome(Verdict(_CANNOT_RUN, Reason.ERROR, message))
    try:
        return await _follow(process, invocation, sink, stop, begun_at)
    finally:
        try:
            await process.end()
        finally:
            process.close()


async def _follow(
    process: ToolProcess, invocation: Invocation, sink: Sink, stop: Stop, begun_at: float
) -> Outcome:
    transcript = Transcript(
        process.stdout.reader, process.stderr.reader, sink, invocation.log_limit_bytes
    )
    try:
        async with asyncio.TaskGroup() as group:
            transcript.start(group)
            try:
                course = await supervise(
                    process,
                    stop,
                    soft_at=begun_at + invocation.soft_limit_seconds,
                    hard_at=begun_at + invocation.hard_limit_seconds,
                    grace_seconds=invocation.grace_seconds,
                )
            finally:
                process.kill()  # Before the sink is waited for, whatever brought us here.
            sink.ended()
            duration_seconds = asyncio.get_running_loop().time() - begun_at
            await transcript.finish()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    limits = Limits(invocation.soft_limit_seconds, invocation.hard_limit_seconds)
    output, error = transcript.tails
    return _outcome(
        judge(process.report(), course, limits),
        duration_seconds=duration_seconds,
        output=output,
        error=error,
        signals=tuple(course.signals),
        allowance=transcript.allowance,
    )


def _outcome(
    verdict: Verdict,
    *,
    duration_seconds: float = 0.0,
    output: Tail = NO_TAIL,
    error: Tail = NO_TAIL,
    signals: tuple[SentSignal, ...] = (),
    allowance: Allowance | None = None,
) -> Outcome:
    return Outcome(
        return_code=verdict.return_code,
        reason=verdict.reason,
        message=verdict.message,
        duration_seconds=duration_seconds,
        output=output,
        error=error,
        signals=signals,
        left_out_lines=allowance.left_out_lines if allowance else 0,
        left_out_bytes=allowance.left_out_bytes if allowance else 0,
    )
