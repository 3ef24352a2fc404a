"""Is it alive, can it serve, and what answers here."""

import base64
import hashlib
import re
from importlib.resources import files

from starlette.responses import HTMLResponse, Response

from service import __version__
from service.errors import BrokerUnavailableError, StoreUnavailableError
from service.store import migrate, workers
from service.web.answers import json_answer
from service.web.headers import SAFE_HEADERS
from service.web.state import ApiRequest


async def health(_: ApiRequest) -> Response:
    """`GET /health`: this process answers.

    It asks nobody, so that an outage elsewhere does not have it restarted.
    """
    return json_answer({"status": "ok", "version": __version__})


async def ready(request: ApiRequest) -> Response:
    """`GET /ready`: 200 when jobs can be accepted, else 503.

    Without the broker or a worker they can: what is missing is named, and the answer stays 200.
    """
    state = request.state
    checks = {"database": "ok", "schema": "ok", "broker": "ok"}
    live = 0
    try:
        async with state["database"].connect() as connection:
            if await migrate.current_revision(connection) != migrate.newest_revision():
                checks["schema"] = "not at this version; run `data20 db upgrade`"
            else:
                live = sum(
                    each.is_alive and not each.is_draining and not each.is_standby
                    for each in await workers.all_workers(connection)
                )
    except StoreUnavailableError as error:
        checks["database"] = str(error)
        checks["schema"] = "unknown"
    try:
        await state["broker"].version()
    except BrokerUnavailableError as error:
        checks["broker"] = str(error)
    is_ready = checks["database"] == checks["schema"] == "ok"
    return json_answer(
        {"status": "ready" if is_ready else "not ready", "workers": live, "checks": checks},
        status=200 if is_ready else 503,
        headers=None if is_ready else {"Retry-After": "2"},
    )


async def index(_: ApiRequest) -> Response:
    """`GET /`: where to go from here."""
    return HTMLResponse(_INDEX, headers={"Content-Security-Policy": _INDEX_POLICY})


def _policy(page: str) -> str:
    """Allow *page* its own style sheet and links, and nothing else."""
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert style is not None  # noqa: S101  # The page is ours.
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    return f"style-src 'sha256-{digest}'; {SAFE_HEADERS['Content-Security-Policy']}"


_INDEX = files("service.web").joinpath("index.html").read_text("utf-8")
_INDEX_POLICY = _policy(_INDEX)
