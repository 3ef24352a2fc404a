"""The API as a process of its own, on the servers of a world."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from httpx2 import AsyncClient, HTTPError

from tests.integration.jobs.worlds import World
from tests.system.stacks import clean_environment

_OPEN = "  ->  open "


@dataclass(frozen=True)
class ApiProcess:
    """An API that was started as a user starts it, and a client of it."""

    process: "subprocess.Popen[str]"
    client: AsyncClient

    async def post(self, key: str, **options: object) -> str | None:
        """Ask for a job of the tool `quick`; return its id, or None when no answer came."""
        body = {"tool_name": "quick", **options}
        try:
            answer = await self.client.post("/api/run", json=body, headers={"Idempotency-Key": key})
        except HTTPError:
            return None
        assert answer.status_code == 200, answer.text
        return answer.json()["job_id"]

    def kill(self) -> None:
        """End it as the kernel ends what has no memory left."""
        self.process.kill()
        self.process.wait()


@asynccontextmanager
async def api_process(world: World, redis_url: str) -> AsyncGenerator[ApiProcess]:
    """Start an API with the world's PostgreSQL and tools; kill it afterwards.

    It runs no jobs itself, so what was posted stays where it was left.
    """
    known = world.context.settings
    assert known.database_url is not None
    env = clean_environment(
        DATABASE_URL=known.database_url.get_secret_value(),
        REDIS_URL=redis_url,
        DATA20_VAR_DIR=str(known.var_dir),
        DATA20_TOOLS_DIR=str(known.tools_dir[0]),
        DATA20_LOCAL_CONCURRENCY="0",
    )
    process = await asyncio.to_thread(
        subprocess.Popen,
        [sys.executable, "-m", "service", "api", "--port", "0"],
        cwd=world.folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        url = await asyncio.to_thread(_read_url, process)
        async with AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
            yield ApiProcess(process, client)
    finally:
        process.kill()
        process.communicate()


def _read_url(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(_OPEN):
            return line.removeprefix(_OPEN).strip()
    raise AssertionError("the API did not start")
