"""Workers' worlds on real servers: what `data20 worker` has, without its wait for deliveries."""

import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from service.config import BROKER_DATABASE
from service.embedded.servers import EmbeddedServers
from service.execution.isolation import Isolation, detect_isolation
from service.jobs.lifecycle import Lifecycle
from service.queue.control import CHANNEL
from service.store.database import Database
from service.store.migrate import upgrade
from tests.integration.jobs.worlds import QUICK, MakeWorld, World, open_world
from tests.servers import redis_client
from tests.waiting import until


@pytest.fixture(scope="session")
def isolation() -> Isolation:
    """Tell what this host allows."""
    return detect_isolation()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give an empty folder, gone after the test."""
    with tempfile.TemporaryDirectory(prefix="data20-tests-") as name:
        yield Path(name)


@pytest.fixture
async def make_world(
    migrated_url: str,
    database: Database,  # noqa: ARG001  # Empties the tables.
    redis_url: str,
    isolation: Isolation,
    folder: Path,
) -> AsyncGenerator[MakeWorld]:
    """Make the world of a worker, with settings of its own; all use the same folder of tools."""
    async with AsyncExitStack() as stack:

        async def make(**settings: object) -> World:
            given = {"database_url": migrated_url, "redis_url": redis_url, **settings}
            return await stack.enter_async_context(open_world(folder, isolation, given))

        yield make


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    """Give the world of one worker."""
    return await make_world()


@pytest.fixture(scope="module")
def own_servers() -> Iterator[EmbeddedServers]:
    """Give servers that the tests of one file may kill."""
    with (
        tempfile.TemporaryDirectory(prefix="data20-tests-") as folder,
        EmbeddedServers(Path(folder)) as servers,
    ):
        yield servers


@pytest.fixture
async def fragile(
    own_servers: EmbeddedServers, isolation: Isolation, folder: Path
) -> AsyncGenerator[World]:
    """Give a worker on servers that a test may kill."""
    given = {"database_url": own_servers.database_url, "redis_url": own_servers.redis_url}
    async with open_world(folder, isolation, given) as world:
        await upgrade(world.context.database)
        yield world


@pytest.fixture
async def listening(make_world: MakeWorld, redis_url: str) -> AsyncGenerator[World]:
    """Give a worker that hears nudges, and whose heartbeat will not come during a test."""
    world = await make_world(lease_seconds=240, heartbeat_seconds=120, dispatch_seconds=120)
    lifecycle = Lifecycle(world.context)
    await lifecycle.start({})

    async def hears() -> bool:
        async with redis_client(redis_url, BROKER_DATABASE) as client:
            return dict(await client.pubsub_numsub(CHANNEL))[CHANNEL] > 0

    await until(hears, what="the worker to listen")
    yield world
    await lifecycle.end({})


@pytest.fixture
def revived(fragile: World, own_servers: EmbeddedServers) -> World:
    """Give a world with a quick tool, whose Redis is there at first."""
    own_servers.valkey.start()
    fragile.add_tool("quick", QUICK)
    return fragile
