"""The API as the command asks it."""

import ipaddress
import os
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import quote, urlsplit

import httpx2 as httpx

from service.cli.answers import (
    AcceptedJson,
    ArtifactJson,
    ArtifactsJson,
    JobJson,
    JobsJson,
    LogsJson,
    ReadyJson,
    ToolJson,
    ToolsJson,
)
from service.errors import ApiUnreachableError, RefusedError

MOST_JOBS = 200
"""Jobs the API lists at once."""
MOST_LINES = 5_000
"""Lines asked for at once."""

_PASSING = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)


class ApiClient:
    """Asks the API at *url*.

    Every method raises ApiUnreachableError when nothing that speaks as the API does answers
    there, and RefusedError when it answers with a problem; both say it in one line.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 30) -> None:
        self.url = url
        self._http = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(timeout_seconds, connect=min(5, timeout_seconds)),
            # A proxy that the environment names cannot lead to ourselves.
            trust_env=not _is_this_host(url),
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def tools(self) -> ToolsJson:
        """Return every tool, the broken ones too."""
        return cast("ToolsJson", await self._ask("GET", "/api/tools"))

    async def tool(self, name: str) -> ToolJson:
        """Return one tool."""
        return cast("ToolJson", await self._ask("GET", f"/api/tools/{quote(name, safe='')}"))

    async def run(
        self,
        tool_name: str,
        parameters: Mapping[str, Any],
        options: Mapping[str, Any] | None = None,
    ) -> AcceptedJson:
        """Ask for a job; *options* are what the request may say beside the parameters."""
        body = {"tool_name": tool_name, "parameters": parameters, **(options or {})}
        return cast("AcceptedJson", await self._ask("POST", "/api/run", body=body))

    async def jobs(
        self,
        *,
        statuses: Sequence[str] = (),
        tool_name: str | None = None,
        limit: int = MOST_JOBS,
        cursor: str | None = None,
    ) -> JobsJson:
        """Return at most *limit* jobs, newest first."""
        query: dict[str, Any] = {"status": list(statuses), "limit": limit}
        if tool_name is not None:
            query["tool"] = tool_name
        if cursor is not None:
            query["cursor"] = cursor
        return cast("JobsJson", await self._ask("GET", "/api/jobs", query=query))

    async def job(self, job_id: str) -> JobJson:
        """Return one job."""
        return cast("JobJson", await self._ask("GET", f"/api/jobs/{job_id}"))

    async def logs(self, job_id: str, *, after: int) -> LogsJson:
        """Return the lines numbered above *after*, at most MOST_LINES."""
        query = {"after": after, "limit": MOST_LINES}
        return cast("LogsJson", await self._ask("GET", f"/api/jobs/{job_id}/logs", query=query))

    async def cancel(self, job_id: str, *, terminates: bool) -> AcceptedJson:
        """Cancel a job; with *terminates* its tool is not asked first."""
        query = {"terminate": terminates}
        return cast("AcceptedJson", await self._ask("DELETE", f"/api/jobs/{job_id}", query=query))

    async def artifacts(self, job_id: str) -> list[ArtifactJson]:
        """Return what is known of each file the job left."""
        answer = cast("ArtifactsJson", await self._ask("GET", f"/api/jobs/{job_id}/artifacts"))
        return answer["artifacts"]

    async def download(self, artifact: ArtifactJson, target: Path) -> None:
        """Save a file at *target*, which is replaced only when all of it has arrived."""
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            async with self._http.stream("GET", artifact["url"]) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise self._refusal(answer)
                with part.open("wb") as file:
                    async for chunk in answer.aiter_bytes():
                        file.write(chunk)  # To a local disk, by a command that does nothing else.
            part.replace(target)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None
        finally:
            part.unlink(missing_ok=True)

    async def ready(self) -> ReadyJson:
        """Return what the API says of itself, be it ready or not."""
        answer = await self._send("GET", "/ready")
        content = self._content(answer)
        if not isinstance(content, dict) or "checks" not in content:
            raise self._stranger()
        return cast("ReadyJson", content)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401  # JSON; the caller knows its shape.
        answer = await self._send(method, path, query=query, body=body)
        if not answer.is_success:
            raise self._refusal(answer)
        return self._content(answer)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        try:
            return await self._http.request(method, path, params=query, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from None

    def _content(self, answer: httpx.Response) -> Any:  # noqa: ANN401  # JSON.
        try:
            return answer.json()
        except ValueError:
            raise self._stranger() from None

    def _refusal(self, answer: httpx.Response) -> RefusedError | ApiUnreachableError:
        """Read a problem document (RFC 9457), whose `detail` may also be a list of faults."""
        is_passing = answer.status_code in _PASSING
        try:
            content: Any = answer.json()
            detail: Any = content["detail"]
        except (ValueError, TypeError, KeyError):
            if is_passing:  # A proxy says that what is behind it does not answer.
                return ApiUnreachableError(f"{self.url} answers {answer.status_code}, not the API")
            return self._stranger()
        return RefusedError(_sentence(detail), is_passing=is_passing)

    def _unreachable(self, error: Exception) -> ApiUnreachableError:
        match error:
            case httpx.ConnectError():
                why = "nothing listens there"
            case httpx.TimeoutException():
                why = "it takes too long"
            case _:
                why = str(error) or type(error).__name__
        return ApiUnreachableError(
            f"The API does not answer at {self.url} ({why}); "
            "`data20 up` starts one, DATA20_URL says where it is"
        )

    def _stranger(self) -> ApiUnreachableError:
        return ApiUnreachableError(
            f"What answers at {self.url} is not the data20 API; DATA20_URL says where that is"
        )


def _sentence(detail: object) -> str:
    """Say in one line what `detail` says in a sentence or in a list of faults."""
    if not isinstance(detail, list):
        return " ".join(str(detail).split())
    faults = cast("list[dict[str, Any]]", detail)
    return "; ".join(str(fault.get("msg", fault)) for fault in faults)


def _is_this_host(url: str) -> bool:
    """Tell whether *url* leads nowhere else."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified
