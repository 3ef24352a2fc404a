"""Each guard is needed: without it a small play goes wrong, and somebody says so.

The plays run in the test's own process, on a real database; the guard is taken out of the live
statement and put back. Where two guards stand behind one another, either alone is enough, and the
play goes wrong without both.
"""

import asyncio

import pytest
from sqlalchemy.exc import DBAPIError

from tests.chaos.checker import check
from tests.chaos.mutations import claiming, ending, keeping, rescuing, telling
from tests.chaos.mutations.conftest import Theatre
from tests.chaos.mutations.guards import find_guards, without
from tests.chaos.mutations.scene import Play, Scene
from tests.servers import asyncpg

PLAYS: dict[str, Play] = {
    **claiming.PLAYS,
    **ending.PLAYS,
    **rescuing.PLAYS,
    **telling.PLAYS,
    **keeping.PLAYS,
}
BACKED = {**claiming.BACKED, **rescuing.BACKED, **telling.BACKED, **keeping.BACKED}

_MOST_SECONDS = 5.0
_CHECK_VIOLATION = "23514"


async def _act(play: Play, theatre: Theatre) -> list[str]:
    """Return what went wrong in the play: as it says, as the database says, as the checker says."""
    await theatre.clear()
    async with theatre.database.connect() as connection:
        # Statements are compiled anew each time: they are not always what they were.
        await connection.execution_options(compiled_cache=None)
        scene = Scene(connection, theatre.ticks)
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                await play(scene)
        except TimeoutError:
            return ["it does not end"]
        except (DBAPIError, asyncpg.PostgresError) as refusal:
            if getattr(getattr(refusal, "orig", refusal), "sqlstate", "") != _CHECK_VIOLATION:
                raise
            return [f"refused by the database itself: {refusal}"]
    violations = await check(theatre.url, ticks=theatre.ticks, is_settled=False)
    return [*scene.wrongs, *map(str, violations)]


def test_every_guard_has_a_play() -> None:
    """Who adds a guard shows what goes wrong without it."""
    assert set(find_guards()) == {*PLAYS, *claiming.IMPLIED, *keeping.IMPLIED}


@pytest.mark.parametrize("name", PLAYS)
async def test_a_play_goes_well_with_its_guard_and_wrong_without(
    theatre: Theatre, name: str
) -> None:
    guards = find_guards()
    backing = [guards[each] for each in BACKED.get(name, ())]
    assert await _act(PLAYS[name], theatre) == []
    if backing:
        with without([guards[name]]):
            assert await _act(PLAYS[name], theatre) == []
    with without([guards[name], *backing]):
        assert await _act(PLAYS[name], theatre) != []
