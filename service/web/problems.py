"""Errors as HTTP tells them: problem details (RFC 9457), and the only status codes of errors.

`detail` stays what clients of the Celery-based system read: a sentence, or for a wrong body the
list of what is wrong with it, each as `{"type", "loc", "msg", "input"}`.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service import errors
from service.errors import Violation
from service.web.headers import SAFE_HEADERS

log = structlog.stdlib.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2

STATUSES: Mapping[type[Exception], HTTPStatus] = {
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.ToolBrokenError: HTTPStatus.CONFLICT,
    errors.JobFinishedError: HTTPStatus.CONFLICT,
}


class MalformedBodyError(errors.Data20Error):
    """The body is not JSON."""


class WrongRequestError(errors.Data20Error):
    """The request is well-formed and breaks rules; `violations` says where and how."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("; ".join(each.message for each in violations))
        self.violations = violations

    @classmethod
    def of(cls, error: ValidationError, *, source: str) -> "WrongRequestError":
        """Tell what pydantic found wrong in *source*: `body` or `query`."""
        return cls(
            [
                Violation(
                    loc=(source, *fault["loc"]),
                    rule=fault["type"],
                    message=_sentence(fault["loc"], fault["msg"]),
                    value=fault["input"],
                )
                for fault in error.errors(include_url=False, include_context=False)
            ]
        )


def problem(
    status: HTTPStatus,
    detail: object = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem document."""
    content = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": status.description if detail is None else detail,
    }
    return Response(
        orjson.dumps(content, default=repr), status, media_type=MEDIA_TYPE, headers=headers
    )


async def refuse(request: Request, error: Exception) -> Response:
    """Answer an error of our own tree."""
    if isinstance(error, MalformedBodyError):
        return problem(HTTPStatus.BAD_REQUEST, str(error))
    if isinstance(
        error, WrongRequestError | errors.InvalidParametersError | errors.InvalidRequestError
    ):
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, [_field(v) for v in error.violations])
    if isinstance(error, errors.StoreUnavailableError):
        # Its reason names hosts and users: that is for the log.
        log.warning("request put off", path=request.url.path, reason=str(error))
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The database does not answer; ask again in a moment",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    for kind, status in STATUSES.items():
        if isinstance(error, kind):
            return problem(status, str(error))
    return await fail(request, error)


async def refuse_http(_: Request, error: Exception) -> Response:
    """Answer what Starlette itself refuses: no such route, no such method, too large a body."""
    assert isinstance(error, HTTPException)  # noqa: S101  # Registered for nothing else.
    status = HTTPStatus(error.status_code)
    is_plain = error.detail == status.phrase
    return problem(status, None if is_plain else error.detail, headers=error.headers)


async def fail(request: Request, error: Exception) -> Response:
    """Answer a fault of ours: it is in the log, and the client learns no more than that."""
    log.error("request failed", method=request.method, path=request.url.path, exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The service made a mistake; it is in its log",
        headers=SAFE_HEADERS,  # This answer is given outside all middleware.
    )


def _field(violation: Violation) -> dict[str, Any]:
    return {
        "type": violation.rule,
        "loc": list(violation.loc),
        "msg": violation.message,
        "input": _short(violation.value),
    }


def _short(value: object) -> object:
    """Return a value as it came, or its beginning where it would fill the screen."""
    if isinstance(value, str):
        text = value
    else:
        try:
            text = orjson.dumps(value, default=repr).decode()
        except orjson.JSONEncodeError:  # Nested deeper than can be written.
            return "..."
    return value if len(text) <= 200 else f"{text[:200]}..."


def _sentence(loc: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(each) for each in loc)
    return f"{name}: {message}" if name else message
