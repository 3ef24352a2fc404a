"""One application for all tests of this room, on the real servers."""

import shutil
import tempfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncConnection

from service.config import Settings
from service.embedded.servers import EmbeddedServers
from service.store.database import Database
from tests.integration.web.looking import count_jobs, keys
from tests.integration.web.serving import serving, settings_for
from tests.silence import Line, line_to, postgres_socket

_ECHO = '''"""Say a text."""
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("text")
parser.add_argument("--times", type=int, default=1)
parser.add_argument("--ratio", type=float)
parser.add_argument("--case", choices=["upper", "lower"])
arguments = parser.parse_args()
print(arguments.text * arguments.times)
'''
_NOTHING = '"""Do nothing."""\n'
_BROKEN = "def (:\n"


@pytest.fixture(scope="session")
def web_folder() -> Iterator[Path]:
    """Give the folder of the application, with the tools `echo`, `nothing` and a broken one."""
    with tempfile.TemporaryDirectory(prefix="data20-tests-") as name:
        tools = Path(name) / "tools"
        tools.mkdir()
        (tools / "echo.py").write_text(_ECHO)
        (tools / "nothing.py").write_text(_NOTHING)
        (tools / "broken.py").write_text(_BROKEN)
        yield Path(name)


@pytest.fixture(scope="session")
def web_settings(
    web_folder: Path, migrated_url: str, migrated: Database, servers: EmbeddedServers
) -> Settings:
    """Give the settings of the application."""
    assert migrated
    return settings_for(web_folder, database_url=migrated_url, redis_url=servers.redis_url)


@pytest.fixture(scope="session")
async def shared_client(web_settings: Settings) -> AsyncGenerator[AsyncClient]:
    """Give a client of the one application; the tests take `client`."""
    async with serving(web_settings) as client:
        yield client


@pytest.fixture
def client(
    shared_client: AsyncClient, web_settings: Settings, database: Database, redis_url: str
) -> Iterator[AsyncClient]:
    """Give a client of the application, whose stores are empty before and after."""
    assert database
    assert redis_url
    yield shared_client
    shutil.rmtree(web_settings.artifacts, ignore_errors=True)


@pytest.fixture
async def nothing_written(
    client: AsyncClient, connection: AsyncConnection, redis_url: str
) -> AsyncGenerator[None]:
    """Fail the test whose request left a row or a delivery."""
    assert client
    yield
    assert await count_jobs(connection) == 0
    assert await keys(redis_url) == []


@pytest.fixture
async def redis_line(redis_url: str) -> AsyncGenerator[Line]:
    """Give a line to Redis."""
    async with line_to(Path(urlsplit(redis_url).path)) as line:
        yield line


@pytest.fixture
async def postgres_line(migrated_url: str) -> AsyncGenerator[Line]:
    """Give a line to PostgreSQL."""
    async with line_to(postgres_socket(migrated_url)) as line:
        yield line
