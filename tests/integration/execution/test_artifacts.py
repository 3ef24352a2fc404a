import hashlib
import os
import resource
import socket
import stat
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from service.errors import ArtifactNotFoundError
from service.execution.artifact_copies import Copier
from service.execution.artifact_names import Skip, guess_media_type
from service.execution.artifacts import ArtifactStore, Collection

JOB_ID = UUID("018f6f3e-0000-7000-8000-000000000001")
LARGE = 1 << 30


class Shelf:
    """A store, and the working directory of a job that has ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "artifacts"
        self.store = ArtifactStore(self.folder)
        self.work = folder / "work"
        self.work.mkdir()

    def leave(self, name: str, data: bytes = b"x") -> Path:
        """Leave a file, as the tool."""
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    async def collect(self, *, fence: int = 1, limit_bytes: int = LARGE) -> Collection:
        """Collect what was left."""
        return await self.store.collect(self.work, JOB_ID, fence, limit_bytes=limit_bytes)

    def read(self, key: str) -> bytes:
        """What the store has under a key."""
        with self.store.open(key) as file:
            return file.read()

    @property
    def files(self) -> list[str]:
        """All there is in the store."""
        paths = (path for path in self.folder.rglob("*") if not path.is_dir())
        return sorted(str(path.relative_to(self.folder)) for path in paths)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


async def test_a_file_is_kept_with_all_that_is_known_of_it(shelf: Shelf) -> None:
    data = os.urandom(3_000_000)
    shelf.leave("reports/graph.html", data)

    collection = await shelf.collect()

    (artifact,) = collection.artifacts
    assert artifact.name == "reports/graph.html"
    assert artifact.size == len(data)
    assert artifact.media_type == "text/html"
    assert artifact.sha256 == hashlib.sha256(data).hexdigest()
    assert artifact.key == f"{JOB_ID}/1/reports/graph.html"
    assert shelf.read(artifact.key) == data
    assert collection.skipped == {}
    assert (shelf.work / "reports/graph.html").read_bytes() == data


async def test_nobody_else_may_reach_what_is_kept(shelf: Shelf) -> None:
    shelf.leave("folder/file").chmod(0o777)

    await shelf.collect()

    folders = [path for path in shelf.folder.rglob("*") if path.is_dir()]
    assert len(folders) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


async def test_a_job_that_leaves_nothing_has_no_folder(shelf: Shelf) -> None:
    collection = await shelf.collect()

    assert collection.artifacts == ()
    assert shelf.files == []
    assert not (shelf.folder / str(JOB_ID)).exists()


async def test_names_come_in_order(shelf: Shelf) -> None:
    for name in ("b", "a/z", "a/b", "c é.txt"):
        shelf.leave(name)

    collection = await shelf.collect()

    assert [artifact.name for artifact in collection.artifacts] == ["a/b", "a/z", "b", "c é.txt"]


async def test_each_fence_keeps_its_own(shelf: Shelf) -> None:
    shelf.leave("file", b"one")
    (first,) = (await shelf.collect(fence=1)).artifacts
    shelf.leave("file", b"two")
    (second,) = (await shelf.collect(fence=2)).artifacts

    assert (shelf.read(first.key), shelf.read(second.key)) == (b"one", b"two")


async def test_collecting_again_replaces_what_was_collected(shelf: Shelf) -> None:
    shelf.leave("old")
    await shelf.collect()
    (shelf.work / "old").unlink()
    shelf.leave("new")

    await shelf.collect()

    assert shelf.files == [f"{JOB_ID}/1/new"]


async def test_what_a_tool_hides_is_not_kept(shelf: Shelf) -> None:
    for name in (".cache/x", ".hidden", "package/__pycache__/m.pyc", "package/.git/config"):
        shelf.leave(name)

    collection = await shelf.collect()

    assert collection.artifacts == ()
    assert collection.skipped == {}


async def test_no_link_is_followed(shelf: Shelf, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    (shelf.work / "file").symlink_to(secret / "key")
    (shelf.work / "folder").symlink_to(secret, target_is_directory=True)
    (shelf.work / "hard").hardlink_to(secret / "key")

    collection = await shelf.collect()

    assert collection.artifacts == ()
    assert collection.skipped == {Skip.KIND: 2, Skip.HARD_LINK: 1}


async def test_only_regular_files_are_kept(shelf: Shelf) -> None:
    os.mkfifo(shelf.work / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(shelf.work / "socket"))

    collection = await shelf.collect()

    assert collection.artifacts == ()
    assert collection.skipped == {Skip.KIND: 2}


@pytest.mark.parametrize("name", [b"\xff.txt", b"a\nb", b"a\x1b[31m", "a\u202etxt.exe".encode()])
async def test_a_name_that_cannot_be_shown_is_skipped(shelf: Shelf, name: bytes) -> None:
    shelf.leave(os.fsdecode(name))
    shelf.leave("good")

    collection = await shelf.collect()

    assert [artifact.name for artifact in collection.artifacts] == ["good"]
    assert collection.skipped == {Skip.NAME: 1}


async def test_folders_nested_without_end_are_skipped(shelf: Shelf) -> None:
    shelf.leave("/".join(["d"] * 31) + "/kept")
    shelf.leave("/".join(["e"] * 40) + "/skipped")

    collection = await shelf.collect()

    assert [artifact.name[-4:] for artifact in collection.artifacts] == ["kept"]
    assert collection.skipped == {Skip.DEPTH: 1}


async def test_what_would_be_too_much_is_skipped_and_the_rest_is_kept(shelf: Shelf) -> None:
    shelf.leave("a", b"x" * 600)
    shelf.leave("b", b"x" * 600)
    shelf.leave("c", b"x" * 400)
    with (shelf.work / "sparse").open("wb") as file:
        file.truncate(10_000_000)

    collection = await shelf.collect(limit_bytes=1000)

    assert [artifact.name for artifact in collection.artifacts] == ["a", "c"]
    assert collection.skipped == {Skip.SIZE: 2}


def test_files_beyond_the_number_allowed_are_skipped(shelf: Shelf, tmp_path: Path) -> None:
    for name in "abcde":
        shelf.leave(name)
    copier = Copier(tmp_path / "target", LARGE, file_limit=3)

    copier.copy_all(shelf.work)

    assert [copy.name for copy in copier.copies] == ["a", "b", "c"]
    assert copier.skipped == {Skip.COUNT: 2}


async def test_a_collection_that_fails_leaves_nothing(shelf: Shelf) -> None:
    shelf.leave("a")
    shelf.leave("b", b"x" * 20_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # As good as a full disk.
    try:
        with pytest.raises(OSError, match="File too large"):
            await shelf.collect()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert shelf.files == []
    assert list((shelf.folder / ".incoming").iterdir()) == []


def test_a_collection_that_is_killed_is_not_seen(shelf: Shelf) -> None:
    """At each file operation in turn. What has its final name is whole."""
    for name in "abc":
        shelf.leave(name, b"whole" * 1000)
    module = "tests.integration.execution.crash_collect"
    command = [sys.executable, "-m", module, str(shelf.folder), str(shelf.work)]

    ended = subprocess.run(command, check=True, capture_output=True, text=True)

    assert int(ended.stdout) > 10


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        f"{JOB_ID}",
        f"{JOB_ID}/1",
        f"{JOB_ID}/1/",
        f"{JOB_ID}/1/folder",
        f"{JOB_ID}/1/gone",
        f"{JOB_ID}/1/../1/file",
        f"{JOB_ID}/1/./file",
        f"{JOB_ID}/1//file",
        f"{JOB_ID}/1/../../../secret",
        f"{JOB_ID}/1/link",
        f"{JOB_ID}/1/linked/secret",
        f"{JOB_ID}/1/pipe",
        f"{JOB_ID}/1/file\0",
        f"{JOB_ID}/1/file/",
        ".incoming/x/file",
        "x" * 10_000,
    ],
)
async def test_a_key_opens_an_artifact_or_nothing(shelf: Shelf, key: str) -> None:
    shelf.leave("file")
    shelf.leave("folder/file")
    await shelf.collect()
    (shelf.folder.parent / "secret").write_text("secret")
    final = shelf.folder / str(JOB_ID) / "1"
    (final / "link").symlink_to(shelf.folder.parent / "secret")
    (final / "linked").symlink_to(shelf.folder.parent, target_is_directory=True)
    os.mkfifo(final / "pipe")

    with pytest.raises(ArtifactNotFoundError):
        shelf.store.open(key)


async def test_deleting_a_job_deletes_all_of_it_and_nothing_else(shelf: Shelf) -> None:
    other = UUID(int=7)
    shelf.leave("file")
    await shelf.collect(fence=1)
    await shelf.collect(fence=2)
    await shelf.store.collect(shelf.work, other, 1, limit_bytes=LARGE)

    await shelf.store.delete_job(JOB_ID)
    await shelf.store.delete_job(JOB_ID)

    assert shelf.files == [f"{other}/1/file"]


async def test_deleting_an_attempt_leaves_the_other_attempts(shelf: Shelf) -> None:
    shelf.leave("file")
    await shelf.collect(fence=1)
    await shelf.collect(fence=2)

    await shelf.store.delete_attempt(JOB_ID, 1)
    assert shelf.files == [f"{JOB_ID}/2/file"]
    await shelf.store.delete_attempt(JOB_ID, 2)
    await shelf.store.delete_attempt(JOB_ID, 2)

    assert not (shelf.folder / str(JOB_ID)).exists()


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("notes.md", "text/markdown"),
        ("DATA.JSON", "application/json"),
        ("graph.svg", "image/svg+xml"),
        ("page.html", "text/html"),
        ("table.csv", "text/csv"),
        ("plot.png", "image/png"),
        ("text.txt", "text/plain"),
        ("dump.json.gz", "application/octet-stream"),
        ("unknown.xyzzy", "application/octet-stream"),
        ("Makefile", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
    ],
)
def test_the_media_type_follows_the_name(name: str, media_type: str) -> None:
    assert guess_media_type(name) == media_type
