"""Reading requests: a JSON body or a query string, checked against a model."""

from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from service.web.problems import MalformedBodyError, WrongRequestError
from service.web.state import ApiRequest

_Model = TypeVar("_Model", bound=BaseModel)


async def read_body(request: ApiRequest, model: type[_Model]) -> _Model:
    """Return the body as *model*.

    Raises MalformedBodyError when it is no JSON, WrongRequestError when it breaks the model's
    rules, and Starlette's own 413 and 415.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise HTTPException(415, "The body must be sent as application/json")
    try:
        content: Any = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise MalformedBodyError(f"The body is not JSON: {error}") from None
    return _check(model, content, source="body")


def read_query(request: ApiRequest, model: type[_Model]) -> _Model:
    """Return the query string as *model*; a name that is repeated becomes a list."""
    query = request.query_params
    content: Mapping[str, Any] = {
        name: values if len(values := query.getlist(name)) > 1 else values[0] for name in query
    }
    return _check(model, content, source="query")


def _check(model: type[_Model], content: object, *, source: str) -> _Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise WrongRequestError.of(error, source=source) from None
