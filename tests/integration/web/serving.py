"""The application as a server would run it, called in this process."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api import create_app
from service.config import Settings

REFUSING = "127.0.0.1:1"
"""Nobody listens at this port: connections are refused at once."""


def settings_for(
    folder: Path, *, database_url: str, redis_url: str, local_concurrency: int = 0
) -> Settings:
    """Return settings under which *folder* holds `tools`, and `var` for all that is kept.

    Unless told otherwise the application runs no jobs itself.
    """
    return Settings(
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        tools_dir=(folder / "tools",),
        var_dir=folder / "var",
        local_concurrency=local_concurrency,
    )


@asynccontextmanager
async def serving(settings: Settings, *, raises: bool = True) -> AsyncGenerator[AsyncClient]:
    """Give a client of the application, whose lifespan lasts as long.

    With *raises* a fault in the application is raised in the test; else it is answered.
    """
    async with started(settings) as app:
        transport = ASGITransport(app, raise_app_exceptions=raises)
        async with AsyncClient(transport=transport, base_url="http://data20.test") as client:
            yield client


@asynccontextmanager
async def started(settings: Settings) -> AsyncGenerator[ASGIApp]:
    """Give the application within its lifespan, whose state every request gets."""
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:
        assert state is not None

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        yield served
