"""`/health` and `/ready`: alive, and able to take jobs."""

from pathlib import Path

from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncConnection

from service import __version__
from service.store import workers
from tests.integration.store.making import signed_on
from tests.integration.web.serving import REFUSING, serving, settings_for

NO_DATABASE = f"postgresql://me:secret@{REFUSING}/none"
NO_REDIS = f"redis://{REFUSING}"
WELL = {"database": "ok", "schema": "ok", "broker": "ok"}


async def test_health_asks_nobody(web_folder: Path) -> None:
    """So that an outage elsewhere does not have this process restarted."""
    settings = settings_for(web_folder, database_url=NO_DATABASE, redis_url=NO_REDIS)
    async with serving(settings) as client:
        answer = await client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "version": __version__}


async def test_ready_when_all_is_there(client: AsyncClient) -> None:
    answer = await client.get("/ready")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "workers": 0, "checks": WELL}


async def test_ready_counts_the_workers_that_take_jobs(
    client: AsyncClient, connection: AsyncConnection
) -> None:
    await signed_on(connection)
    await signed_on(connection)
    await signed_on(connection, lease_seconds=-1)
    leaving = await signed_on(connection)
    await workers.mark_draining(connection, leaving.id)
    assert (await client.get("/ready")).json()["workers"] == 2


async def test_ready_without_redis_since_jobs_are_still_accepted(
    web_folder: Path, migrated_url: str, connection: AsyncConnection
) -> None:
    assert connection
    settings = settings_for(web_folder, database_url=migrated_url, redis_url=NO_REDIS)
    async with serving(settings) as client:
        answer = await client.get("/ready")
    assert answer.status_code == 200
    checks = answer.json()["checks"]
    assert checks["broker"].startswith("Redis does not answer")
    assert {**checks, "broker": "ok"} == WELL


async def test_not_ready_without_the_database(web_folder: Path, redis_url: str) -> None:
    settings = settings_for(web_folder, database_url=NO_DATABASE, redis_url=redis_url)
    async with serving(settings) as client:
        answer = await client.get("/ready")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    content = answer.json()
    assert content["status"] == "not ready"
    assert content["checks"]["database"].startswith("PostgreSQL does not run")
    assert content["checks"]["schema"] == "unknown"
    assert content["checks"]["broker"] == "ok"
    assert "secret" not in answer.text


async def test_not_ready_before_the_schema_is_there(
    web_folder: Path, database_url: str, redis_url: str
) -> None:
    settings = settings_for(web_folder, database_url=database_url, redis_url=redis_url)
    async with serving(settings) as client:
        answer = await client.get("/ready")
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert checks["database"] == "ok"
    assert "data20 db upgrade" in checks["schema"]
