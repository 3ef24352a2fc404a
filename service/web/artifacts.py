"""`/api/jobs/{job_id}/artifacts`: the files a job left, served so that none can harm the viewer.

A tool's HTML, SVG or XML is a stranger's program in our address. The `sandbox` directive without
`allow-same-origin` gives it an origin of its own: it may draw, and reaches no cookie, no address
and no window (Content Security Policy Level 3, section 6.3.2).
"""

from collections.abc import AsyncGenerator, Mapping
from typing import BinaryIO
from urllib.parse import quote
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from service.store import lookup
from service.store.records import Artifact
from service.web.answers import json_answer
from service.web.ranges import UnsatisfiableRangeError, is_held, read_range
from service.web.reading import read_query
from service.web.state import ApiRequest

_CHUNK_BYTES = 1 << 18
SANDBOX = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; media-src data: blob:"
)


class DownloadQuery(BaseModel):
    """How a file is wanted."""

    model_config = ConfigDict(extra="forbid")

    download: bool = False


async def list_artifacts(request: ApiRequest) -> Response:
    """`GET /api/jobs/{job_id}/artifacts`: every file by name."""
    job_id: UUID = request.path_params["job_id"]
    async with request.state["database"].connect() as connection:
        job = await lookup.get_job(connection, job_id)
        found = await lookup.list_artifacts(connection, job.id)
    return json_answer(
        {
            "job_id": str(job.id),
            "artifacts": [
                {
                    "name": each.name,
                    "size": each.size,
                    "media_type": each.media_type,
                    "sha256": each.sha256,
                    "created_at": each.created_at,
                    "url": f"/api/jobs/{job.id}/artifacts/{quote(each.name)}",
                }
                for each in found
            ],
        }
    )


async def download_artifact(request: ApiRequest) -> Response:
    """`GET /api/jobs/{job_id}/artifacts/{name}`: one file or a range of it.

    With `?download=true` browsers save it. The name is looked up in the job's list and never
    becomes a path.
    """
    query = read_query(request, DownloadQuery)
    state = request.state
    async with state["database"].connect() as connection:
        artifact = await lookup.get_artifact(
            connection, request.path_params["job_id"], request.path_params["name"]
        )
    headers = _headers(artifact, is_download=query.download)
    if is_held(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    wanted = _wanted(request, artifact.size, headers["ETag"])
    file = await run_in_threadpool(state["artifacts"].open, artifact.location)
    if wanted is None:
        return _FileAnswer(file, range(artifact.size), 200, artifact.media_type, headers)
    headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{artifact.size}"
    return _FileAnswer(file, wanted, 206, artifact.media_type, headers)


def _wanted(request: ApiRequest, size: int, tag: str) -> range | None:
    """Return the range to be sent; `None` when it is the whole file."""
    if request.headers.get("if-range", tag) != tag:
        return None  # The client holds a part of what was another file.
    try:
        return read_range(request.headers.get("range", ""), size)
    except UnsatisfiableRangeError:
        raise HTTPException(416, headers={"Content-Range": f"bytes */{size}"}) from None


def _headers(artifact: Artifact, *, is_download: bool) -> dict[str, str]:
    kind = "attachment" if is_download else "inline"
    file_name = quote(artifact.name.rpartition("/")[2], safe="")
    return {
        "Accept-Ranges": "bytes",
        "ETag": f'"{artifact.sha256}"',
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f"{kind}; filename*=UTF-8''{file_name}",
        "Content-Security-Policy": SANDBOX,
        "X-Content-Type-Options": "nosniff",
    }


class _FileAnswer(StreamingResponse):
    """Sends the bytes at some positions of an open file, and closes it whatever happens."""

    def __init__(
        self,
        file: BinaryIO,
        wanted: range,
        status: int,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(
            _read(file, wanted),
            status,
            headers={**headers, "Content-Length": str(len(wanted))},
            media_type=media_type,
        )
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            if scope["method"] == "HEAD":
                await Response(status_code=self.status_code, headers=self.headers)(
                    scope, receive, send
                )
            else:
                await super().__call__(scope, receive, send)


async def _read(file: BinaryIO, wanted: range) -> AsyncGenerator[bytes]:
    left = len(wanted)
    file.seek(wanted.start)
    while left and (chunk := await run_in_threadpool(file.read, min(left, _CHUNK_BYTES))):
        left -= len(chunk)
        yield chunk
