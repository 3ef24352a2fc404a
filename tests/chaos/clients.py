"""The clients: they post until somebody says yes, remember what they were told, and cancel."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2 as httpx

from tests.chaos.plan import Posting

_PATIENCE_SECONDS = 15.0
_PAUSE_SECONDS = 0.1
_OK, _CONFLICT, _UNAVAILABLE = 200, 409, 503


@dataclass
class Told:
    """What the service told its clients."""

    accepted: dict[UUID, Posting] = field(default_factory=dict[UUID, Posting])
    asked_to_cancel: set[UUID] = field(default_factory=set[UUID])
    """Jobs of which a cancel was tried, whatever the answer."""
    promised: set[UUID] = field(default_factory=set[UUID])
    """Jobs of which a cancel was promised."""
    finished: dict[UUID, str] = field(default_factory=dict[UUID, str])
    """Jobs that could not be cancelled any more, and what was said of them."""
    put_off: int = 0
    """Answers that said to come again (503)."""
    broken_off: int = 0
    """Requests that got no answer."""
    surprises: list[str] = field(default_factory=list[str])
    """Answers that nothing of this should bring about."""
    reply_seconds: list[float] = field(default_factory=list[float])
    """Of each accepted post."""


class Clients:
    """Several clients of several APIs, one list of what is to be posted."""

    def __init__(self, urls: Sequence[str], ticks: Path, *, count: int) -> None:
        self._urls = urls
        self._ticks = ticks
        self._count = count
        self._waiting: deque[Posting] = deque()
        self._turn = 0
        self.told = Told()

    async def has_keys(self) -> bool:
        """Tell whether the service knows two posts with one Idempotency-Key for one."""
        posting = Posting(0.0, "brief", 0.0, 5, None, terminates=False)
        async with _client() as client:
            key = str(uuid4())
            first, second = [await self._post(client, posting, key) for _ in range(2)]
        for job_id in (first, second):
            self.told.accepted[job_id] = posting
        return first == second

    async def post_all(self, postings: Sequence[Posting], begun_at: float) -> None:
        """Post each at its moment, or as soon as a client is free; return when all are accepted."""
        self._waiting.extend(postings)
        async with _client() as client, asyncio.TaskGroup() as group:
            for _ in range(self._count):
                group.create_task(self._work(client, group, begun_at))

    async def _work(
        self, client: httpx.AsyncClient, group: asyncio.TaskGroup, begun_at: float
    ) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            posting = self._waiting.popleft()
            await asyncio.sleep(max(0.0, begun_at + posting.at_seconds - loop.time()))
            started_at = loop.time()
            job_id = await self._post(client, posting, str(uuid4()))
            self.told.reply_seconds.append(loop.time() - started_at)
            self.told.accepted[job_id] = posting
            if posting.cancel_after_seconds is not None:
                group.create_task(self._cancel(client, job_id, posting))

    async def _post(self, client: httpx.AsyncClient, posting: Posting, key: str) -> UUID:
        wanted = {
            "tool_name": posting.tool,
            "parameters": {"ticks": str(self._ticks), "seconds": posting.tool_seconds},
        }
        while True:
            answer = await self._ask(
                client, "POST", "/api/run", json=wanted, headers={"Idempotency-Key": key}
            )
            if answer.status_code == _OK:
                return UUID(answer.json()["job_id"])
            self._wonder("POST", answer)

    async def _cancel(self, client: httpx.AsyncClient, job_id: UUID, posting: Posting) -> None:
        await asyncio.sleep(posting.cancel_after_seconds or 0.0)
        self.told.asked_to_cancel.add(job_id)
        path = f"/api/jobs/{job_id}?terminate={str(posting.terminates).lower()}"
        answer = await self._ask(client, "DELETE", path)
        if answer.status_code == _OK:
            self.told.promised.add(job_id)
        elif answer.status_code == _CONFLICT:
            self.told.finished[job_id] = answer.text
        else:
            self._wonder("DELETE", answer)

    async def _ask(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        **content: Any,  # noqa: ANN401  # As httpx takes it.
    ) -> httpx.Response:
        """Ask one API after the other until one has an answer other than "later"."""
        while True:
            self._turn += 1
            url = self._urls[self._turn % len(self._urls)] + path
            try:
                answer = await client.request(method, url, **content)
            except httpx.TransportError:
                self.told.broken_off += 1
            else:
                if answer.status_code != _UNAVAILABLE:
                    return answer
                self.told.put_off += 1
            await asyncio.sleep(_PAUSE_SECONDS)

    def _wonder(self, method: str, answer: httpx.Response) -> None:
        self.told.surprises.append(f"{method}: {answer.status_code} {answer.text[:200]}")


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=_PATIENCE_SECONDS, trust_env=False)
