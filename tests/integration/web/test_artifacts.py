"""`/api/jobs/{job_id}/artifacts`: the files a job left, byte for byte and harmless."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote
from uuid import UUID

import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from service.config import Settings
from service.execution.artifacts import ArtifactStore
from service.store import jobs
from service.store.records import NewArtifact
from tests.integration.store.making import SUCCESS, claimed
from tests.integration.web.problems import problem_in

Leave: TypeAlias = Callable[[Mapping[str, bytes]], Awaitable[UUID]]

NAMES = [
    "plain.txt",
    "a/b/c.bin",
    "with space.txt",
    "größe & maß.csv",
    "100%.txt",
    "%2e%2e.txt",
    "a+b#c?d=e;f.txt",
    'quo"te\\.txt',
    "日本語/графика.svg",
]


def write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@pytest.fixture
def leave(connection: AsyncConnection, web_settings: Settings, tmp_path: Path) -> Leave:
    """Give what makes a job that left some files, and returns its id."""

    async def leave(files: Mapping[str, bytes]) -> UUID:
        job = await claimed(connection)
        write_all(tmp_path, files)
        store = ArtifactStore(web_settings.artifacts)
        kept = await store.collect(tmp_path, job.id, job.fence, limit_bytes=1 << 24)
        assert len(kept.artifacts) == len(files)
        found = [
            NewArtifact(each.name, each.media_type, each.size, each.sha256, each.key)
            for each in kept.artifacts
        ]
        assert await jobs.complete(connection, job, replace(SUCCESS, artifacts=found))
        return job.id

    return leave


async def fetch(client: AsyncClient, job_id: UUID, name: str, **headers: str) -> Response:
    return await client.get(
        f"/api/jobs/{job_id}/artifacts/{quote(name)}",
        headers={key.replace("_", "-"): value for key, value in headers.items()},
    )


async def test_files_are_listed_and_come_back_byte_for_byte(
    client: AsyncClient, leave: Leave
) -> None:
    """Whatever they are called, at the address that the list gives."""
    files = {name: bytes(range(256)) + name.encode() for name in NAMES}
    job_id = await leave(files)
    content = (await client.get(f"/api/jobs/{job_id}/artifacts")).json()
    assert content["job_id"] == str(job_id)
    assert [each["name"] for each in content["artifacts"]] == sorted(NAMES)
    for each in content["artifacts"]:
        expected = files[each["name"]]
        assert each["size"] == len(expected)
        assert each["sha256"] == hashlib.sha256(expected).hexdigest()
        answer = await client.get(each["url"])
        assert (answer.status_code, answer.content) == (200, expected)
        assert answer.headers["content-length"] == str(len(expected))
        assert answer.headers["content-type"].startswith(each["media_type"])


async def test_a_large_and_an_empty_file_come_back(client: AsyncClient, leave: Leave) -> None:
    files = {"large.bin": bytes(range(256)) * 20_000, "empty.bin": b""}
    job_id = await leave(files)
    for name, content in files.items():
        answer = await fetch(client, job_id, name)
        assert (answer.status_code, answer.content) == (200, content)


@pytest.mark.parametrize(
    "name",
    [
        "no.txt",
        "",
        "%2e%2e",
        "%2e%2e/plain.txt",
        "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "%2e/plain.txt",
        "1/plain.txt",
        "PLAIN.TXT",
        "plain.txt%00",
        "%00",
        "%ff",
        "plain.txt/",
        "secret.txt",
    ],
)
async def test_only_listed_names_are_served(
    client: AsyncClient, leave: Leave, web_settings: Settings, name: str
) -> None:
    """Not even another file in the very folder: names are looked up, never opened."""
    job_id = await leave({"plain.txt": b"a"})
    write_all(web_settings.artifacts / str(job_id) / "1", {"secret.txt": b"secret"})
    problem_in(await client.get(f"/api/jobs/{job_id}/artifacts/{name}"), 404)


async def test_another_jobs_file_is_not_served(client: AsyncClient, leave: Leave) -> None:
    first = await leave({"mine.txt": b"a"})
    second = await leave({"mine.txt": b"a", "yours.txt": b"b"})
    problem_in(await fetch(client, first, "yours.txt"), 404)
    way = f"%2e%2e/%2e%2e/{second}/1/yours.txt"
    problem_in(await client.get(f"/api/jobs/{first}/artifacts/{way}"), 404)


@pytest.mark.parametrize(
    "name",
    ["page.html", "drawing.svg", "feed.xml", "page.xhtml", "script.js", "data.bin", "PAGE.HTM"],
)
async def test_a_file_can_do_no_harm_where_it_is_opened(
    client: AsyncClient, leave: Leave, name: str
) -> None:
    """In a sandbox that lacks `allow-same-origin` a page has an origin of its own."""
    answer = await fetch(client, await leave({name: b"<script>"}), name)
    policy = answer.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    sandbox = policy[0].split()
    assert sandbox[0] == "sandbox"
    assert "allow-same-origin" not in sandbox
    assert "allow-top-navigation" not in sandbox
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["content-disposition"].startswith("inline")


async def test_a_download_is_saved_under_its_name(client: AsyncClient, leave: Leave) -> None:
    name = 'a/grö"ße;\\.txt'
    job_id = await leave({name: b"a"})
    answer = await client.get(f"/api/jobs/{job_id}/artifacts/{quote(name)}?download=true")
    expected = "attachment; filename*=UTF-8''gr%C3%B6%22%C3%9Fe%3B%5C.txt"
    assert answer.headers["content-disposition"] == expected


async def test_what_a_client_has_is_not_sent_again(client: AsyncClient, leave: Leave) -> None:
    job_id = await leave({"a.txt": b"abc"})
    tag = (await fetch(client, job_id, "a.txt")).headers["etag"]
    assert tag == f'"{hashlib.sha256(b"abc").hexdigest()}"'
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await fetch(client, job_id, "a.txt", if_none_match=known)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
    for other in ('"other"', "", tag.strip('"')):
        answer = await fetch(client, job_id, "a.txt", if_none_match=other)
        assert (answer.status_code, answer.content) == (200, b"abc")


@pytest.mark.parametrize(
    ("asked", "sent", "place"),
    [
        ("bytes=0-3", b"0123", "0-3"),
        ("bytes=4-", b"456789", "4-9"),
        ("bytes=-2", b"89", "8-9"),
        ("bytes=-99", b"0123456789", "0-9"),
        ("bytes=9-99", b"9", "9-9"),
    ],
)
async def test_a_part_of_a_file_may_be_wanted(
    client: AsyncClient, leave: Leave, asked: str, sent: bytes, place: str
) -> None:
    """So that a download that broke off goes on where it was."""
    answer = await fetch(client, await leave({"a.txt": b"0123456789"}), "a.txt", range=asked)
    assert (answer.status_code, answer.content) == (206, sent)
    assert answer.headers["content-range"] == f"bytes {place}/10"
    assert answer.headers["content-length"] == str(len(sent))


@pytest.mark.parametrize(
    "asked", ["", "bytes=", "bytes=-", "bytes=3-1", "bytes=a-b", "lines=0-1", "bytes=0-1,3-4"]
)
async def test_a_range_that_is_not_understood_is_ignored(
    client: AsyncClient, leave: Leave, asked: str
) -> None:
    answer = await fetch(client, await leave({"a.txt": b"0123456789"}), "a.txt", range=asked)
    assert (answer.status_code, answer.content) == (200, b"0123456789")
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=99-100", "bytes=-0"])
async def test_a_part_behind_the_end_is_refused(
    client: AsyncClient, leave: Leave, asked: str
) -> None:
    answer = await fetch(client, await leave({"a.txt": b"0123456789"}), "a.txt", range=asked)
    problem_in(answer, 416)
    assert answer.headers["content-range"] == "bytes */10"


async def test_a_part_of_another_version_is_not_sent(client: AsyncClient, leave: Leave) -> None:
    job_id = await leave({"a.txt": b"0123456789"})
    tag = (await fetch(client, job_id, "a.txt")).headers["etag"]
    same = await fetch(client, job_id, "a.txt", range="bytes=0-1", if_range=tag)
    assert (same.status_code, same.content) == (206, b"01")
    other = await fetch(client, job_id, "a.txt", range="bytes=0-1", if_range='"other"')
    assert (other.status_code, other.content) == (200, b"0123456789")


async def test_head_tells_the_size_and_sends_nothing(client: AsyncClient, leave: Leave) -> None:
    job_id = await leave({"a.txt": b"0123456789"})
    answer = await client.head(f"/api/jobs/{job_id}/artifacts/a.txt")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "10"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_file_that_is_gone_from_the_disk_is_not_found(
    client: AsyncClient, leave: Leave, web_settings: Settings
) -> None:
    job_id = await leave({"a.txt": b"a"})
    await ArtifactStore(web_settings.artifacts).delete_job(job_id)
    problem_in(await fetch(client, job_id, "a.txt"), 404)
    assert (await client.head(f"/api/jobs/{job_id}/artifacts/a.txt")).status_code == 404
    assert (await client.get(f"/api/jobs/{job_id}/artifacts")).status_code == 200


async def test_a_link_put_in_a_files_place_is_not_followed(
    client: AsyncClient, leave: Leave, web_settings: Settings
) -> None:
    job_id = await leave({"a.txt": b"a"})
    replace_by_link(web_settings.artifacts / str(job_id) / "1" / "a.txt")
    problem_in(await fetch(client, job_id, "a.txt"), 404)


def replace_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")
