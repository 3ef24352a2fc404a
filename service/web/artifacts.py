"""`/api/jobs/{job_id}/artifacts`: the files a job left, served so that none can harm the viewer.

A tool's HTML, SVG or XML is a stranger's program in our address. The `sandbox` directive without
`allow-same-origin` gives it an origin of its own: it may draw, and reaches no cookie, no address
and no window (Content Security Policy Level 3, section 6.3.2).
"""

from collections.abc import AsyncGenerator
from typing import BinaryIO
from urllib.parse import quote
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from service.store import lookup
from service.store.records import Artifact
from service.web.answers import json_answer
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
    """`GET /api/jobs/{job_id}/artifacts/{name}`: one file; `?download=true` saves it.

    The name is looked up in the job's list and never becomes a path.
    """
    query = read_query(request, DownloadQuery)
    state = request.state
    async with state["database"].connect() as connection:
        artifact = await lookup.get_artifact(
            connection, request.path_params["job_id"], request.path_params["name"]
        )
    headers = _headers(artifact, is_download=query.download)
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    file = await run_in_threadpool(state["artifacts"].open, artifact.location)
    headers["Content-Length"] = str(artifact.size)
    return StreamingResponse(_stream(file), media_type=artifact.media_type, headers=headers)


def _headers(artifact: Artifact, *, is_download: bool) -> dict[str, str]:
    kind = "attachment" if is_download else "inline"
    file_name = quote(artifact.name.rpartition("/")[2], safe="")
    return {
        "ETag": f'"{artifact.sha256}"',
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f"{kind}; filename*=UTF-8''{file_name}",
        "Content-Security-Policy": SANDBOX,
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }


async def _stream(file: BinaryIO) -> AsyncGenerator[bytes]:
    with file:
        while chunk := await run_in_threadpool(file.read, _CHUNK_BYTES):
            yield chunk
