"""What every job function is given: the worker it runs in, and the ways to the stores."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from service.config import Settings
from service.execution.artifacts import ArtifactStore
from service.execution.hold import Hold
from service.execution.isolation import Isolation
from service.execution.stop import Stop, StopKind
from service.jobs.ledger import Ledger
from service.jobs.regularity import Regularity
from service.jobs.rounds import Alarm
from service.jobs.spool import Spool
from service.queue.broker import Broker
from service.queue.control import Wish
from service.store.database import Database
from service.store.records import Holder
from service.store.workers import Identity
from service.tools.catalog import Catalog


@dataclass(slots=True)
class Running:
    """A delivery that this worker has taken on, and the way to end what it runs."""

    stop: Stop = field(default_factory=Stop)
    fence: int | None = None
    """The fence of its claim; None until that is known to have won."""


@dataclass(slots=True)
class Context:
    """One worker's world. Everything in it lives as long as the worker does."""

    settings: Settings
    database: Database
    broker: Broker
    catalog: Catalog
    artifacts: ArtifactStore
    isolation: Isolation
    identity: Identity
    running: dict[UUID, Running] = field(default_factory=dict[UUID, Running])
    """By job id, one of each: from before its claim until nothing of it is left here."""
    running_chores: set[tuple[str, datetime]] = field(default_factory=set[tuple[str, datetime]])
    """Cron runs that this worker has taken on, by function and slot, from before their claim."""
    hold: Hold = field(default_factory=Hold)
    """Until when tools may run here; has an end from the moment the worker has signed on."""
    is_draining: bool = False
    begun: int = 0
    """How many jobs this process has claimed."""
    strays: set[tuple[UUID, int]] = field(default_factory=set[tuple[UUID, int]])
    """Jobs, by fence, that the store says are held here and nothing here knew at the last look."""
    taken: frozenset[str] = frozenset()
    """Deliveries that the last look found gone from their queues, and their jobs not claimed."""
    alarm: Alarm = field(default_factory=Alarm)
    """Rings when the dispatcher should look."""
    regularity: Regularity = field(init=False)
    ledger: Ledger = field(init=False)
    spool: Spool = field(init=False)

    def __post_init__(self) -> None:
        self.spool = Spool(self.settings.spool)
        self.ledger = Ledger(self.database, lambda: self.holder)
        self.regularity = Regularity(self.settings.lease_seconds)

    @property
    def holder(self) -> Holder:
        """This worker as a job's row names it."""
        return Holder(self.identity.id, self.identity.name)

    def heed(self, wish: Wish) -> None:
        """Stop a job that runs here, as somebody wishes."""
        running = self.running.get(wish.job_id)
        if running is not None:
            running.stop.request(StopKind.TERMINATE if wish.terminates else StopKind.CANCEL)

    def stop_all(self, kind: StopKind) -> None:
        """Ask every tool that runs here to end."""
        for each in self.running.values():
            each.stop.request(kind)
