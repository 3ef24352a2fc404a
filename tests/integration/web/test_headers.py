"""What every answer says of itself, so that no browser takes it for more than it is."""

import base64
import hashlib
import re
from uuid import uuid4

import pytest
from httpx2 import AsyncClient

SOME_JOB = f"/api/jobs/{uuid4()}"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/health", 200),
        ("GET", "/ready", 200),
        ("GET", "/api/tools", 200),
        ("GET", "/api/jobs", 200),
        ("HEAD", "/api/jobs", 200),
        ("GET", "/api/jobs/", 307),
        ("GET", SOME_JOB, 404),
        ("GET", "/api/jobs?limit=0", 422),
        ("POST", "/api/run", 415),
        ("GET", "/api/run", 405),
        ("GET", "/nowhere", 404),
    ],
)
async def test_every_answer_is_guarded(
    client: AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    policy = answer.headers["content-security-policy"]
    for directive in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert directive in policy


async def test_the_page_may_use_its_own_style_and_nothing_else(client: AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert not re.search(r"<script|<link|\sstyle=|\son\w+=|src=", answer.text)


async def test_head_is_get_without_the_body(client: AsyncClient) -> None:
    for path in ("/", "/health", "/api/tools", "/api/tools/echo", "/api/jobs"):
        whole, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]
        assert head.headers["content-length"] == str(len(whole.content))
