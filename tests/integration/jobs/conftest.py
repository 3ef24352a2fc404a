"""Workers' worlds on real servers: what `data20 worker` has, without its wait for deliveries."""

import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from service.embedded.servers import EmbeddedServers
from service.execution.isolation import Isolation, detect_isolation
from service.store.database import Database
from service.store.migrate import upgrade
from tests.integration.jobs.worlds import MakeWorld, World, open_world


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
