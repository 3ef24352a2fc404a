"""`GET /api/health`: how the whole is, for people and for what watches over it."""

from dataclasses import asdict

from starlette.responses import Response

from service.health import Grade, examine
from service.web.answers import json_answer
from service.web.state import ApiRequest


async def show_health(request: ApiRequest) -> Response:
    """`GET /api/health`: 200 while jobs are accepted, be it degraded; 503 when something fails.

    Whoever only reads the code learns what a balancer must know, and the body is the same in both.
    """
    state = request.state
    health = await examine(state["database"], state["broker"], state["settings"].var_dir)
    is_failing = health.status is Grade.FAILING
    return json_answer(
        asdict(health),
        status=503 if is_failing else 200,
        headers={"Retry-After": "5"} if is_failing else None,
    )
