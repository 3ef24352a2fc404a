"""Where a small play is acted on a real database: workers that claim, live on, and come late."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from service.store import jobs, workers
from service.store.records import Holder, Job
from service.store.rescue import rescue_lost
from tests.integration.store.making import NEW, identity, somebody

NO_LEASE = 0.0
"""Seconds for which the server counts as not yet up for a whole lease: none."""

LONG_LEASE = 1e9
"""Longer than any server has been up."""


@dataclass
class Scene:
    """One play. What is wrong beyond what the checker sees is said in `wrongs`."""

    connection: AsyncConnection
    ticks: Path
    wrongs: list[str] = field(default_factory=list[str])

    async def waiting(self) -> Job:
        """Return a job that waits to be claimed."""
        job = await jobs.create(self.connection, NEW)
        return await jobs.mark_enqueued(self.connection, job.id) or job

    async def claim(self, job: Job, holder: Holder) -> Job | None:
        """Have *holder* claim it; its tool runs from then on."""
        won = await jobs.claim(self.connection, job.id, holder)
        if won is not None:
            self.begin(won)
        return won

    async def running(self, holder: Holder | None = None) -> Job:
        """Return a job that *holder* runs."""
        won = await self.claim(await self.waiting(), holder or somebody("worker@first"))
        assert won is not None
        return won

    def begin(self, job: Job) -> None:
        """Write the first sign of life of the job's tool."""
        self._write(job, "start")

    def live(self, job: Job) -> None:
        """Write a further one: its worker knows of nothing that would end it."""
        self._write(job, "tick")

    def end(self, job: Job) -> None:
        """Write the last one."""
        self._write(job, "end")

    async def rescue(
        self, *, lease_seconds: float = NO_LEASE, trusts_leases: bool = True, most: int = 100
    ) -> list[Job]:
        """Take jobs from workers that lost their lease."""
        return await rescue_lost(
            self.connection,
            lease_seconds=lease_seconds,
            max_losses=100,
            trusts_leases=trusts_leases,
            most=most,
        )

    async def signed_on(self, name: str, *, lease_seconds: float) -> Holder:
        """Return a worker whose lease runs out in so long, or ran out so long ago."""
        holder = somebody(name)
        assert await workers.register(
            self.connection, identity(holder), lease_seconds=lease_seconds
        )
        return holder

    def expect(self, *, what: str, never: object) -> None:
        """Note that *what* has happened, when *never*, which must be empty, is not."""
        if never:
            self.wrongs.append(what)

    def _write(self, job: Job, word: str) -> None:
        with (self.ticks / f"{job.id}:{job.fence}").open("a") as file:
            file.write(f"{word} {time.clock_gettime(time.CLOCK_BOOTTIME)}\n")


Play: TypeAlias = Callable[[Scene], Awaitable[None]]
"""What happens; it must go well as long as every guard stands."""
