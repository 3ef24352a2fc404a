"""What every handler may use: the ways to the stores, opened once by the application's lifespan."""

from typing import TypeAlias, TypedDict

from starlette.requests import Request

from service.config import Settings
from service.execution.artifacts import ArtifactStore
from service.queue.broker import Broker
from service.queue.standby import Standby
from service.queue.timetable import Timetable
from service.store.database import Database
from service.tools.catalog import Catalog


class State(TypedDict):
    """The application's state."""

    settings: Settings
    database: Database
    broker: Broker
    catalog: Catalog
    artifacts: ArtifactStore
    timetable: Timetable
    local: Standby | None
    """None when this process runs no jobs."""


ApiRequest: TypeAlias = Request[State]
