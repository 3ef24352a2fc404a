"""A worker's life ends when it is told to, at whatever moment."""

import asyncio

import pytest

from service.jobs.lifecycle import Lifecycle
from tests.integration.jobs.worlds import MakeWorld


@pytest.mark.parametrize("after_seconds", [0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032])
async def test_a_worker_ends_in_the_middle_of_whatever_its_chores_do(
    make_world: MakeWorld, after_seconds: float
) -> None:
    """A cancellation that a library swallows must not keep it alive."""
    world = await make_world()
    lifecycle = Lifecycle(world.context)
    await lifecycle.start({})
    never = asyncio.ensure_future(asyncio.Event().wait())
    await asyncio.wait({never}, timeout=after_seconds)
    never.cancel()
    await asyncio.wait_for(lifecycle.end({}), 10)
