"""Bring the database's schema to this version of the code."""

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import AsyncConnection

from service.store.database import Database

# Any number, as long as nobody else locks it: two processes that start at once migrate in turn.
_LOCK = 0x64617461_3230

# alembic's own table, read without alembic: this is asked often.
_HAS_VERSIONS = sa.select(sa.func.to_regclass("alembic_version"))
_VERSION = sa.select(sa.column("version_num", sa.Text)).select_from(sa.table("alembic_version"))


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


@cache
def newest_revision() -> str:
    """Return the revision this code needs."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


async def current_revision(connection: AsyncConnection) -> str | None:
    """Return the revision the database is at; `None` when it is empty."""
    if (await connection.execute(_HAS_VERSIONS)).scalar_one() is None:
        return None
    return (await connection.execute(_VERSION)).scalar_one_or_none()


async def upgrade(database: Database) -> tuple[str | None, str]:
    """Run every migration that is missing, all in one transaction.

    Returns the revisions before and after. Processes that do this at once wait for each other.
    """
    async with database.begin() as connection:
        await connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        await connection.execute(sa.text("SET LOCAL lock_timeout = '60s'"))
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        before = await current_revision(connection)
        await connection.run_sync(lambda inner: command.upgrade(_config(inner), "head"))
        after = await current_revision(connection)
    return before, str(after)
