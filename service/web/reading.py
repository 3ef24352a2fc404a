"""Reading requests: a JSON body or a query string, checked against a model."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service.web.problems import MalformedBodyError, WrongRequestError
from service.web.state import ApiRequest

MOST_BODY_BYTES = 1_000_000

_Model = TypeVar("_Model", bound=BaseModel)


async def read_body(request: ApiRequest, model: type[_Model]) -> _Model:
    """Return the body as *model*.

    Raises MalformedBodyError when it is no JSON, WrongRequestError when it breaks the model's
    rules, and Starlette's HTTPException when it is too large (413) or something else than JSON
    (415).
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise HTTPException(415, "The body must be sent as application/json")
    return _check(model, _parse(await _collect(request)), source="body")


def read_query(request: ApiRequest, model: type[_Model]) -> _Model:
    """Return the query string as *model*; a name that is repeated becomes a list.

    Raises WrongRequestError when it breaks the model's rules.
    """
    query = request.query_params
    content: Mapping[str, Any] = {
        name: values if len(values := query.getlist(name)) > 1 else values[0] for name in query
    }
    return _check(model, content, source="query")


async def _collect(request: ApiRequest) -> bytes:
    """Read the body, and no more of it than is allowed.

    Starlette's own limit answers 413 as plain text where the length was told beforehand.
    """
    told = request.headers.get("content-length", "")
    if told.isdecimal() and (len(told) > 18 or int(told) > MOST_BODY_BYTES):
        raise _too_large()
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BODY_BYTES:
                raise _too_large()
    except ClientDisconnect:
        raise MalformedBodyError("The body ended before it was complete") from None
    return bytes(body)


def _too_large() -> HTTPException:
    return HTTPException(413, f"The body must be at most {MOST_BODY_BYTES:,} bytes")


def _parse(body: bytes) -> object:
    try:
        content: object = orjson.loads(body)  # Strict: neither NaN, bad UTF-8 nor half surrogates.
        # Of two values of one name every parser may take another (RFC 8259, section 4).
        json.loads(body, object_pairs_hook=_named_once)
    except ValueError as error:
        raise MalformedBodyError(f"The body is not JSON: {error}") from None
    except RecursionError:
        raise MalformedBodyError("The body is not JSON: it is nested too deeply") from None
    return content


def _named_once(pairs: list[tuple[str, object]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            message = f"the name {name[:100]!r} stands twice in one object"
            raise ValueError(message)
        seen.add(name)


def _check(model: type[_Model], content: object, *, source: str) -> _Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise WrongRequestError.of(error, source=source) from None
