"""The faults of a plan, done to real processes, real servers and real connections."""

import asyncio
import contextlib
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import psutil

from service.config import BROKER_DATABASE
from service.embedded.server import Server
from service.embedded.servers import EmbeddedServers
from tests.chaos.lines import Line
from tests.chaos.members import Member
from tests.chaos.plan import LONGEST_FAULT_SECONDS, Fault, Step
from tests.servers import redis_client

_SHARE_OF_LEASE = 0.5
"""How much of a lease a short stop takes at most: heartbeats go on before it runs out."""

_PATIENCE_SECONDS = 10.0
"""How long a step waits for a process of its kind that is up."""

_Act: TypeAlias = Callable[[Step], Awaitable[None]]


class Storm:
    """Hurts *workers*, *apis* and *servers*, and heals them all at the end."""

    def __init__(
        self,
        servers: EmbeddedServers,
        workers: Sequence[Member],
        apis: Sequence[Member],
        *,
        lease_seconds: float,
    ) -> None:
        self._servers = servers
        self._workers = workers
        self._apis = apis
        self._lease_seconds = lease_seconds
        self._one_at_a_time = {
            servers.postgres.name: asyncio.Lock(),
            servers.valkey.name: asyncio.Lock(),
        }
        self._acts = self._list_acts()
        self.done: Counter[Fault] = Counter()

    async def rage(self, steps: Sequence[Step], begun_at: float) -> None:
        """Do each step at its moment, counted from *begun_at* on the loop's clock."""
        async with asyncio.TaskGroup() as group:
            for step in steps:
                delay = begun_at + step.at_seconds - asyncio.get_running_loop().time()
                await asyncio.sleep(max(0.0, delay))
                group.create_task(self._do(step))

    async def heal(self) -> None:
        """Let everything run, and every line through."""
        for server in (self._servers.valkey, self._servers.postgres):
            async with self._one_at_a_time[server.name]:
                if not server.is_running:
                    await _start(server)
        for member in self._members:
            for line in (member.postgres, member.valkey):
                line.thaw()
                await line.open()
            member.resume()

    @property
    def _members(self) -> Sequence[Member]:
        return [*self._workers, *self._apis]

    async def _do(self, step: Step) -> None:
        await self._acts[step.fault](step)
        self.done[step.fault] += 1

    def _list_acts(self) -> Mapping[Fault, _Act]:
        acts: dict[Fault, _Act] = {
            Fault.WORKER_KILLED: partial(self._kill, self._workers),
            Fault.WORKER_DEPLOYED: partial(self._deploy, self._workers),
            Fault.WORKER_STOPPED: partial(self._stop, _SHARE_OF_LEASE / LONGEST_FAULT_SECONDS),
            Fault.WORKER_STOPPED_LONG: partial(self._stop, 1.0),
            Fault.API_KILLED: partial(self._kill, self._apis),
            Fault.API_DEPLOYED: partial(self._deploy, self._apis),
            Fault.POSTGRES_KILLED: self._kill_postgres,
            Fault.BACKEND_KILLED: self._kill_backend,
            Fault.VALKEY_KILLED: self._kill_valkey,
            Fault.VALKEY_EMPTIED: self._empty_valkey,
            Fault.VALKEY_FLUSHED: self._flush_valkey,
            Fault.WORKER_POSTGRES_FROZEN_LONG: partial(
                self._freeze, [each.postgres for each in self._workers], self._lease_seconds
            ),
        }
        lines = {
            (Fault.WORKER_POSTGRES_CUT, Fault.WORKER_POSTGRES_FROZEN): [
                each.postgres for each in self._workers
            ],
            (Fault.WORKER_VALKEY_CUT, Fault.WORKER_VALKEY_FROZEN): [
                each.valkey for each in self._workers
            ],
            (Fault.API_POSTGRES_CUT, Fault.API_POSTGRES_FROZEN): [
                each.postgres for each in self._apis
            ],
            (Fault.API_VALKEY_CUT, Fault.API_VALKEY_FROZEN): [each.valkey for each in self._apis],
        }
        for (cut, frozen), of_kind in lines.items():
            acts[cut] = partial(self._cut, of_kind)
            acts[frozen] = partial(self._freeze, of_kind, 1.0)
        return acts

    async def _kill(self, members: Sequence[Member], step: Step) -> None:
        (await _choose(members, step)).kill(step.seconds)

    async def _deploy(self, members: Sequence[Member], step: Step) -> None:
        (await _choose(members, step)).deploy()

    async def _stop(self, share_of_lease: float, step: Step) -> None:
        worker = await _choose(self._workers, step)
        worker.stop()
        try:
            await asyncio.sleep(step.seconds * share_of_lease * self._lease_seconds)
        finally:
            worker.resume()

    async def _cut(self, lines: Sequence[Line], step: Step) -> None:
        lines[step.target % len(lines)].cut()

    async def _freeze(self, lines: Sequence[Line], times: float, step: Step) -> None:
        line = lines[step.target % len(lines)]
        line.freeze()
        try:
            await asyncio.sleep(step.seconds * times)
        finally:
            line.thaw()

    async def _kill_postgres(self, step: Step) -> None:
        lines = [each.postgres for each in self._members]
        await self._kill_server(self._servers.postgres, lines, step)

    async def _kill_valkey(self, step: Step) -> None:
        lines = [each.valkey for each in self._members]
        await self._kill_server(self._servers.valkey, lines, step)

    async def _empty_valkey(self, step: Step) -> None:
        lines = [each.valkey for each in self._members]
        data = self._servers.folder / "valkey"
        await self._kill_server(self._servers.valkey, lines, step, lambda: shutil.rmtree(data))

    async def _kill_server(
        self,
        server: Server,
        lines: Sequence[Line],
        step: Step,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Kill it, and refuse connections as a host does where nobody listens, until it is back."""
        async with self._one_at_a_time[server.name]:
            server.kill()
            for line in lines:
                line.refuse()
            meanwhile()
            await asyncio.sleep(step.seconds)
            await _start(server)
            for line in lines:
                await line.open()

    async def _kill_backend(self, step: Step) -> None:
        """Kill a process that serves a client; PostgreSQL then restarts all of them."""
        postgres = self._servers.postgres
        async with self._one_at_a_time[postgres.name]:
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while True:
                serving = [
                    child
                    for child in psutil.Process(postgres.pid).children()
                    if "data20 data20" in _title(child)
                ]
                if serving:
                    break
                assert time.monotonic() < deadline, "nobody is connected to PostgreSQL"
                await asyncio.sleep(0.05)
            with contextlib.suppress(psutil.NoSuchProcess):
                serving[step.target % len(serving)].kill()

    async def _flush_valkey(self, step: Step) -> None:  # noqa: ARG002  # As all acts.
        valkey = self._servers.valkey
        async with (
            self._one_at_a_time[valkey.name],
            redis_client(valkey.url, BROKER_DATABASE) as client,
        ):
            await client.flushall()


async def _choose(members: Sequence[Member], step: Step) -> Member:
    """Return a process that is up, the one the plan names if that is."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        for place in range(len(members)):
            member = members[(step.target + place) % len(members)]
            if member.is_alive:
                return member
        assert time.monotonic() < deadline, f"nobody is up for: {step.fault}"
        await asyncio.sleep(0.05)


async def _start(server: Server) -> None:
    """Start a server again. It is of this thread, and its life ends with it; others only wait."""
    await asyncio.to_thread(server.wait_for_predecessor)
    server.launch()
    await asyncio.to_thread(server.wait_until_ready)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
