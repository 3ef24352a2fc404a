"""The HTTP process: what answers where. A table of contents."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from service.config import Settings, load_settings
from service.cron import CRON_JOBS
from service.errors import Data20Error, SettingsError
from service.execution.artifacts import ArtifactStore
from service.jobs.local import LocalExecution, open_local
from service.queue.broker import Broker
from service.queue.timetable import read_timetable
from service.store.database import Database
from service.tools.catalog import Catalog
from service.web import artifacts, cron, health, jobs, problems, run, system, tools
from service.web.headers import SafeHeaders
from service.web.state import State

ROUTES = [
    Route("/", system.index),
    Route("/health", system.health),
    Route("/ready", system.ready),
    Route("/api/health", health.show_health),
    Route("/api/run", run.create_job, methods=["POST"]),
    Route("/api/tools", tools.list_tools),
    Route("/api/tools/{name}", tools.show_tool),
    Route("/api/jobs", jobs.list_jobs),
    Route("/api/jobs/{job_id:uuid}", jobs.JobEndpoint),
    Route("/api/jobs/{job_id:uuid}/logs", jobs.show_logs),
    Route("/api/jobs/{job_id:uuid}/artifacts", artifacts.list_artifacts),
    Route("/api/jobs/{job_id:uuid}/artifacts/{name:path}", artifacts.download_artifact),
    Route("/api/cron", cron.show_timetable),
    Route("/api/statistics", cron.show_statistics),
]

EXCEPTION_HANDLERS = {
    Data20Error: problems.refuse,
    HTTPException: problems.refuse_http,
    Exception: problems.fail,
}


def create_app(settings: Settings | None = None) -> Starlette:
    """Return the application; its stores are opened when it starts to serve.

    Raises SettingsError when it is not told where they are.
    """
    known = settings or load_settings()
    if known.database_url is None or known.redis_url is None:
        raise SettingsError(
            "DATABASE_URL and REDIS_URL: both are needed here; `data20 up` starts servers itself"
        )
    database_url, redis_url = known.database_url, known.redis_url

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[State]:
        database = Database(database_url.get_secret_value(), name="data20-api")
        broker = Broker(redis_url.get_secret_value(), name="data20-api")
        catalog, store = Catalog(known.tools_dir), ArtifactStore(known.artifacts)
        local = await open_local(known, broker, catalog, store)
        app.state.local = local
        if local is not None:
            local.start()
        try:
            yield State(
                settings=known,
                database=database,
                broker=broker,
                timetable=read_timetable(CRON_JOBS),
                catalog=catalog,
                artifacts=store,
                local=local,
            )
        finally:
            if local is not None:
                await local.stop()
            await broker.close()
            await database.close()

    return Starlette(
        routes=ROUTES,
        middleware=[Middleware(SafeHeaders)],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=lifespan,
    )


def ask_to_stop(app: Starlette) -> None:
    """Have *app* begin no more jobs; the second time, hand back those that run here."""
    local: LocalExecution | None = getattr(app.state, "local", None)
    if local is not None:
        local.ask_to_stop()
