"""Reading problem documents."""

from http import HTTPStatus
from typing import Any

from httpx2 import Response


def problem_in(answer: Response, status: int) -> Any:  # noqa: ANN401  # A sentence or a list.
    """Return the `detail` of a problem, after checking its form (RFC 9457, section 3)."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert content.keys() == {"type", "title", "status", "detail"}
    assert content["type"] == "about:blank"
    assert content["title"] == HTTPStatus(status).phrase
    assert content["status"] == status
    assert content["detail"]
    assert "Traceback" not in answer.text
    return content["detail"]


def faults_in(answer: Response) -> list[dict[str, Any]]:
    """Return what a 422 says is wrong, after checking that each fault has the known keys."""
    faults = problem_in(answer, 422)
    for fault in faults:
        assert fault.keys() == {"type", "loc", "msg", "input"}
        assert isinstance(fault["type"], str)
        assert isinstance(fault["msg"], str)
        assert all(isinstance(each, str | int) for each in fault["loc"])
    return faults
