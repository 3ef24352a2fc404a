"""The arq worker process: the functions it runs, and where its settings go.

`data20 worker` and `arq service.worker.WorkerSettings` start the same worker.
"""

import signal
from collections.abc import Callable, Sequence
from typing import Any

import arq.worker
from arq.cron import CronJob
from arq.worker import Function, func

from service.config import Settings, load_settings
from service.cron import CRON_JOBS
from service.errors import SettingsError
from service.execution.artifacts import ArtifactStore
from service.execution.isolation import Isolation, detect_isolation
from service.jobs.context import Context
from service.jobs.lease import identify
from service.jobs.lifecycle import Lifecycle
from service.jobs.recycling import Recycling
from service.jobs.run_tool import run_tool
from service.jobs.run_waiting import run_waiting
from service.log import configure_logging
from service.queue.broker import Broker
from service.queue.timetable import read_timetable
from service.queue.worker import DeliveryWorker
from service.store.database import Database
from service.tools.catalog import Catalog

FUNCTIONS: list[Function] = [func(run_tool, name="run_tool")]
"""What is delivered when somebody asks for it; what the timetable names is known besides."""

_SPARE_CONNECTIONS = 7
"""For heartbeat, rescue and the lease's end, and two each for the dispatcher and its looks at
Redis, beside one for each running job."""

_MOST_CONNECTIONS = 20
"""A job needs one only while it writes; PostgreSQL has some hundred for all processes."""

_LAST_SECONDS = 5.0
"""For what comes after a killed tool: its files and its row."""


class Worker(DeliveryWorker):
    """Our worker as arq's command starts one: whatever is not given comes from the settings.

    *begin_succession* as for `Recycling`; its successors are told of signals by *pass_on_signal*.
    Under arq's own command there is neither: a worker that is due ends, and whoever supervises it
    starts the next.
    """

    def __init__(
        self,
        functions: list[Function] = FUNCTIONS,
        *,
        cron_jobs: Sequence[CronJob] = CRON_JOBS,
        settings: Settings | None = None,
        isolation: Isolation | None = None,
        begin_succession: Callable[[], None] | None = None,
        pass_on_signal: Callable[[int], None] | None = None,
        **given: Any,  # noqa: ANN401  # arq's own parameters.
    ) -> None:
        known = settings or load_settings()
        if settings is None:  # Started by arq's command, whose logging knows none of ours.
            configure_logging(known.log_level, known.log_format)
        context = make_context(known, isolation or detect_isolation())
        recycling = Recycling(context, retire=self.retire, begin_succession=begin_succession)
        lifecycle = Lifecycle(context, read_timetable(cron_jobs), recycling)
        self._pass_on_signal = pass_on_signal
        super().__init__(
            [*functions, *(func(each.coroutine, name=each.name) for each in cron_jobs)],
            queues=known.queues,
            max_jobs=known.concurrency,
            fair_seconds=known.fair_seconds,
            drain_seconds=known.drain_seconds,
            overdue_seconds=known.grace_seconds + _LAST_SECONDS,
            on_startup=lifecycle.start,
            on_drain=lifecycle.drain,
            on_overdue=lifecycle.release,
            from_store=run_waiting,
            on_shutdown=lifecycle.end,
            ctx={"context": context, "broker": context.broker},
            **given,
        )

    def handle_sig(self, signum: signal.Signals) -> None:
        """Stop as every worker does, and have the successors stop."""
        super().handle_sig(signum)
        if self._pass_on_signal is not None:
            self._pass_on_signal(signum)


class WorkerSettings:
    """For `arq service.worker.WorkerSettings`; everything else is in the environment."""

    functions = FUNCTIONS
    cron_jobs = CRON_JOBS


def make_context(settings: Settings, isolation: Isolation) -> Context:
    """Open the ways to the stores; none is used yet.

    Raises SettingsError when it is not told where they are.
    """
    if settings.database_url is None or settings.redis_url is None:
        raise SettingsError(
            "DATABASE_URL and REDIS_URL: both are needed here; `data20 up` starts servers itself"
        )
    return Context(
        settings=settings,
        database=Database(
            settings.database_url.get_secret_value(),
            name=settings.worker,
            pool_size=min(settings.concurrency + _SPARE_CONNECTIONS, _MOST_CONNECTIONS),
        ),
        broker=Broker(settings.redis_url.get_secret_value(), name=settings.worker),
        catalog=Catalog(settings.tools_dir),
        artifacts=ArtifactStore(settings.artifacts),
        isolation=isolation,
        identity=identify(settings, isolation),
    )


# The `arq` command can only build the class of this name in this module, and this one is ours.
arq.worker.Worker = Worker
