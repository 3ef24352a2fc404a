"""What makes a job function of a chore's body: its run in the ledger, from claim to outcome."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from service.errors import BrokerUnavailableError, StoppingError, StoreUnavailableError
from service.jobs.context import Context
from service.jobs.journal import until_stored
from service.store import cron_runs
from service.store.cron_runs import CronRun, RunStatus
from service.store.database import Connection

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

log = structlog.stdlib.get_logger(__name__)

LIMIT_SECONDS = 3600.0
"""The longest that one run may take, as for a tool."""

MAX_ATTEMPTS = 3
"""How often one run is begun; after that the next slot has to do."""

Body: TypeAlias = "Callable[[Context], Awaitable[DataclassInstance]]"
"""One pass of a chore; what it returns is kept in the ledger as JSON."""


def job_function(body: Body) -> "Callable[..., CoroutineType[Any, Any, None]]":
    """Return the function that arq calls: with a slot it is that slot's run, without it is extra.

    A run that somebody else has begun, or that is over, is left alone.
    """

    async def run(ctx: dict[Any, Any], slot: object = None) -> None:
        context: Context = ctx["context"]
        if slot is None:
            await body(context)
            return
        moment = _read_moment(slot)
        if moment is None:
            return
        taken = (body.__name__, moment)
        if taken in context.running_chores:
            return  # Another delivery of it is here.
        context.running_chores.add(taken)
        try:
            claimed = await _claim(context, *taken)
            if claimed is not None:
                await _do(context, body, claimed)
        finally:
            context.running_chores.remove(taken)

    run.__name__ = run.__qualname__ = body.__name__
    return run


async def _claim(context: Context, name: str, slot: datetime) -> CronRun | None:
    """Claim the run as soon as PostgreSQL answers, or find that an earlier try of ours did."""

    async def write() -> CronRun | None:
        if context.is_draining:
            return None  # It is delivered to somebody who stays.
        async with context.database.connect() as connection:
            return await cron_runs.claim(
                connection, name, slot, context.holder
            ) or await _find_ours(context, connection, name, slot)

    return await until_stored(write, what="claim of a cron run")


async def _find_ours(
    context: Context, connection: Connection, name: str, slot: datetime
) -> CronRun | None:
    """Return the run if it is ours already: an earlier try was committed and its answer lost."""
    run = await cron_runs.find(connection, name, slot)
    if run is None or run.status is not RunStatus.RUNNING:
        return None
    return run if run.worker_id == context.identity.id else None


async def _do(context: Context, body: Body, run: CronRun) -> None:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            outcome = asdict(await body(context))
    except StoppingError:
        await _write(context, run, is_over=False)
    except (StoreUnavailableError, BrokerUnavailableError) as error:
        # Not its fault: it is begun again, if not too often.
        log.warning("cron run broken off", function=run.name, reason=str(error))
        await _write(context, run, is_over=run.attempt >= MAX_ATTEMPTS, error=str(error))
    except TimeoutError:
        await _write(context, run, error=f"It took longer than {LIMIT_SECONDS:g} s")
    except Exception as error:
        log.exception("cron run failed", function=run.name)
        await _write(context, run, error=f"{type(error).__name__}: {error}")
    else:
        await _write(context, run, outcome=outcome)


async def _write(
    context: Context,
    run: CronRun,
    *,
    is_over: bool = True,
    outcome: dict[str, Any] | None = None,
    error: str | None = None,
) -> None:
    async def write() -> None:
        async with context.database.connect() as connection:
            if is_over:
                await cron_runs.finish(connection, run, outcome=outcome, error=error)
            else:
                await cron_runs.release(connection, run, is_charged=error is not None)

    await until_stored(write, what="end of a cron run")
    log.info("cron run ended", function=run.name, slot=run.slot.isoformat(), error=error)


def _read_moment(slot: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(slot))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        log.warning("not a slot", given=repr(slot)[:100])
        return None
    return moment
