"""A whole run: the service is started, hurt by a plan while clients use it, healed and judged."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from service.embedded.servers import EmbeddedServers
from service.store.database import Database
from service.store.migrate import upgrade
from tests.chaos.checker import Violation, check
from tests.chaos.clients import Clients
from tests.chaos.figures import Figures, figures_of
from tests.chaos.members import Member, Recruiter
from tests.chaos.outcomes import READ as READ_OUTCOMES
from tests.chaos.outcomes import judge
from tests.chaos.plan import Plan
from tests.chaos.remains import find_remains, open_files, redis_keys, tagged_processes
from tests.chaos.storm import Storm
from tests.chaos.takeovers import READ as READ_TAKEOVERS
from tests.chaos.takeovers import takeover_seconds
from tests.chaos.ticks import find_overlaps, read_runs
from tests.servers import postgres_client

LEASE_SECONDS = 3.0
SETTINGS = {
    "DATA20_LEASE_SECONDS": str(LEASE_SECONDS),
    "DATA20_HEARTBEAT_SECONDS": "0.6",
    "DATA20_DISPATCH_SECONDS": "0.5",
    "DATA20_RETRY_DELAY": "0.3",
    "DATA20_MAX_RETRIES": "1",
    "DATA20_GRACE_SECONDS": "1",
    "DATA20_DRAIN_SECONDS": "0.1",
    "DATA20_CONCURRENCY": "6",
    # A worker asks its owner for a successor by a signal, and we own several.
    "DATA20_MAX_TASKS_PER_CHILD": "0",
    "DATA20_WORKER_MEMORY_MB": "0",
    "DATA20_LOG_FORMAT": "json",
}
"""Everything shorter than it is for users, so that it happens often in a short run."""

SETTLE_SECONDS = 60.0
"""How long nothing at all may end, once all is healed, before what is left counts as stuck."""

_START_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_UNFINISHED = """
    SELECT count(*) FILTER (WHERE completed_at IS NULL) AS unfinished,
           count(*) FILTER (WHERE completed_at IS NOT NULL) AS finished FROM jobs
"""
_SIGNED_ON = "SELECT count(*) FROM workers WHERE NOT is_standby"
_RENEWED = f"{_SIGNED_ON} AND id <> ALL($1::uuid[])"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Size:
    """How many of each take part."""

    workers: int = 3
    apis: int = 2
    clients: int = 16


@dataclass(frozen=True)
class Stage:
    """A service that runs, on servers and lines of the driver's own."""

    folder: Path
    servers: EmbeddedServers
    workers: Sequence[Member]
    apis: Sequence[Member]

    @property
    def members(self) -> Sequence[Member]:
        """Every process of the service."""
        return [*self.workers, *self.apis]

    @property
    def ticks(self) -> Path:
        """Where test tools leave their signs of life."""
        return self.folder / "ticks"


async def run(plan: Plan, size: Size, say: Say, *, keep: Path | None = None) -> Figures:
    """Carry the plan out and return what was seen; logs stay in *keep* where that is given."""
    files_before = open_files()
    async with _stage(size, keep) as stage:
        say("started")
        figures = await _perform(stage, plan, size, say)
    figures.violations.extend(_left_open("the driver", open_files() - files_before))
    return figures


async def _perform(stage: Stage, plan: Plan, size: Size, say: Say) -> Figures:
    clients = Clients([api.url for api in stage.apis], stage.ticks, count=size.clients)
    has_keys = await clients.has_keys()
    await _settled(stage)
    files_before = _open_files(stage)
    keys_before = await redis_keys(stage.servers.redis_url)
    storm = Storm(stage.servers, stage.workers, stage.apis, lease_seconds=LEASE_SECONDS)
    begun_at = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        posting = group.create_task(clients.post_all(plan.postings, begun_at))
        await storm.rage(plan.steps, begun_at)
        await storm.heal()
        say(f"healed after {asyncio.get_running_loop().time() - begun_at:.0f} s")
        await posting
    say("all posted")
    settle_seconds = await _settled(stage)
    say(f"settled in {settle_seconds:.0f} s")
    await _renew_workers(stage)
    violations = await check(
        stage.servers.database_url,
        accepted=clients.told.accepted,
        others_may_exist=not has_keys,
        ticks=stage.ticks,
    )
    violations += _still_running(clients)
    for name, files in _open_files(stage).items():
        violations += _left_open(name, files - files_before[name])
    violations += await _stop(stage)
    violations += await find_remains(
        job_ids=clients.told.accepted,
        database_url=stage.servers.database_url,
        redis_url=stage.servers.redis_url,
        keys_before=keys_before,
        workspaces=stage.folder / "var" / "workspaces",
    )
    async with postgres_client(stage.servers.database_url) as connection:
        outcomes = judge(await connection.fetch(READ_OUTCOMES), clients.told)
        killed_at = {each.name: each.killed_at for each in stage.workers}
        takeovers = takeover_seconds(await connection.fetch(READ_TAKEOVERS), killed_at)
    return figures_of(
        plan=plan,
        seconds=asyncio.get_running_loop().time() - begun_at,
        settle_seconds=settle_seconds,
        faults=storm.done,
        told=clients.told,
        outcomes=outcomes,
        takeovers=takeovers,
        overlaps=find_overlaps(read_runs(stage.ticks)),
        violations=[*violations, *outcomes.violations],
    )


def _open_files(stage: Stage) -> dict[str, Counter[str]]:
    return {each.name: each.open_files for each in stage.members}


def _left_open(name: str, files: Counter[str]) -> list[Violation]:
    del files["/dev/null"]  # The event loop's own reserve, taken when it first listens.
    return [
        Violation("no file is left open", None, f"{name} has {count} more of {kind}")
        for kind, count in files.items()
    ]


def _still_running(clients: Clients) -> list[Violation]:
    return [
        Violation("no process is left", None, f"process {pid} of {tag}")
        for pid, tag in tagged_processes(clients.told.accepted).items()
    ]


async def _settled(stage: Stage) -> float:
    """Wait until every job has ended, or nothing ends any more; return how long that took."""
    begun_at = moved_at = time.monotonic()
    last_finished = -1
    async with postgres_client(stage.servers.database_url) as connection:
        while True:
            unfinished, finished = await connection.fetchrow(_UNFINISHED)
            now = time.monotonic()
            if finished != last_finished:
                last_finished, moved_at = finished, now
            if not unfinished or now - moved_at > SETTLE_SECONDS:
                return now - begun_at
            await asyncio.sleep(_LOOK_SECONDS)


async def _stop(stage: Stage) -> list[Violation]:
    """Stop every process as users do, and say which did not end well, now or on the way."""
    ended_well = await asyncio.gather(*(member.end() for member in stage.members))
    found = [
        Violation("who stops ends well", None, member.name)
        for member, is_well in zip(stage.members, ended_well, strict=True)
        if not is_well
    ]
    found += [
        Violation("nobody ends by itself", None, f"{member.name}, code {code}")
        for member in stage.members
        for code in member.unexpected
    ]
    return found


@asynccontextmanager
async def _stage(size: Size, keep: Path | None) -> AsyncGenerator[Stage]:
    """Start servers, workers and APIs; leave nothing of them."""
    with _folder(keep) as folder, EmbeddedServers(folder / "servers") as servers:
        _hasten_recovery(folder / "servers")
        database = Database(servers.database_url, name="chaos", pool_size=1, answer_within=None)
        await upgrade(database)
        await database.close()
        (folder / "ticks").mkdir()
        recruiter = Recruiter(
            folder,
            servers,
            {
                **SETTINGS,
                "DATA20_VAR_DIR": str(folder / "var"),
                "DATA20_TOOLS_DIR": str(Path(__file__).parent / "tools"),
            },
        )
        stage = Stage(
            folder,
            servers,
            [await recruiter.worker(f"worker-{number}") for number in range(size.workers)],
            [await recruiter.api(f"api-{number}") for number in range(size.apis)],
        )
        keeping_up = [asyncio.create_task(member.keep_up()) for member in stage.members]
        try:
            await _ready(stage)
            yield stage
        finally:
            for task in keeping_up:
                task.cancel()
            await asyncio.gather(*keeping_up, return_exceptions=True)
            for member in stage.members:
                member.destroy()


async def _renew_workers(stage: Stage) -> None:
    """Start each worker once more: who starts sweeps up what killed ones left on the disk."""
    async with postgres_client(stage.servers.database_url) as connection:
        ids = [row["id"] for row in await connection.fetch("SELECT id FROM workers")]
        for worker in stage.workers:
            worker.deploy()
        deadline = time.monotonic() + _START_SECONDS
        while await connection.fetchval(_RENEWED, ids) < len(stage.workers):
            assert time.monotonic() < deadline, "the workers do not come back; see their logs"
            await asyncio.sleep(_LOOK_SECONDS)


def _hasten_recovery(folder: Path) -> None:
    """Have PostgreSQL sync its disk by one call after a crash, not a file at a time.

    It is as safe and takes tenths of a second instead of seconds, of which a run has too few.
    """
    with (folder / "postgres" / "data" / "postgresql.conf").open("a") as settings:
        settings.write("recovery_init_sync_method = syncfs\n")


async def _ready(stage: Stage) -> None:
    """Wait until every worker has signed on."""
    deadline = time.monotonic() + _START_SECONDS
    async with postgres_client(stage.servers.database_url) as connection:
        while await connection.fetchval(_SIGNED_ON) < len(stage.workers):
            assert time.monotonic() < deadline, "the workers do not sign on; see their logs"
            await asyncio.sleep(_LOOK_SECONDS)


@contextmanager
def _folder(keep: Path | None) -> Generator[Path]:
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="data20-chaos-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # Root's servers run as another user.
        yield folder
