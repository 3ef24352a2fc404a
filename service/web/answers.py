"""Answers as JSON."""

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.responses import Response


def json_answer(
    content: BaseModel | Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return *content* as a JSON response; moments are ISO 8601 with a numeric offset."""
    data = content.model_dump() if isinstance(content, BaseModel) else content
    return Response(orjson.dumps(data), status, media_type="application/json", headers=headers)
