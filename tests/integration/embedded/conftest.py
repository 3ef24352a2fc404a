"""Folders for servers that a test starts itself."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.embedded.servers import EmbeddedServers

# What only root has to decide, nobody else can try.
collect_ignore = [] if os.geteuid() == 0 else ["test_root.py"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder's path, short and below what every user may enter; nothing is there yet."""
    with tempfile.TemporaryDirectory(prefix="data20-tests-") as name:
        Path(name).chmod(0o711)
        yield Path(name) / "var"


@pytest.fixture
def closed(folder: Path) -> Path:
    """Give an empty folder below one that only its owner may enter."""
    folder.mkdir(mode=0o700)
    closed = folder / "closed"
    closed.mkdir()
    return closed


@pytest.fixture(scope="session")
def finished() -> Iterator[Path]:
    """Give the folder of servers that ran and were stopped, for copying."""
    with tempfile.TemporaryDirectory(prefix="data20-tests-") as name:
        Path(name).chmod(0o711)
        with EmbeddedServers(Path(name)):
            pass
        yield Path(name)


@pytest.fixture
def stopped(folder: Path, finished: Path) -> Path:
    """Give the folder of servers that ran and were stopped."""
    subprocess.run(("cp", "--archive", finished, folder), check=True)
    return folder
