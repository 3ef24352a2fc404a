"""Collects three artifacts and is killed: at its first file operation, its second, and so on.

Run as a script with the store's folder and the working directory. Fails when a killed collection
can be seen by its final name; prints how many were killed before one came to its end.
"""

import asyncio
import os
import sys
from itertools import count
from pathlib import Path
from uuid import UUID

from service.execution.artifacts import ArtifactStore

JOB_ID = UUID(int=1)
KILLED = 9
FILE_OPERATIONS = {"open", "os.mkdir", "os.rename", "os.rmdir", "os.scandir", "shutil.rmtree"}


def collect_until(last: int, store: ArtifactStore, work: Path) -> None:
    """Collect, and die at file operation number *last*."""
    steps = count(1)

    def count_steps(event: str, _arguments: object) -> None:
        if event in FILE_OPERATIONS and next(steps) == last:
            os._exit(KILLED)

    sys.addaudithook(count_steps)
    asyncio.run(store.collect(work, JOB_ID, 1, limit_bytes=1 << 20))
    os._exit(0)


def main(folder: Path, work: Path) -> None:
    """Kill one collection after the other until one ends."""
    store = ArtifactStore(folder)
    final = folder / str(JOB_ID) / "1"
    for step in count(1):
        child = os.fork()
        if not child:
            collect_until(step, store, work)
        killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
        names = (
            {path.name: path.stat().st_size for path in final.iterdir()} if final.exists() else {}
        )
        assert names in ({}, {"a": 5000, "b": 5000, "c": 5000}), names
        asyncio.run(store.delete_job(JOB_ID))
        assert not [path for path in folder.rglob("*") if path.is_file()]
        if not killed:
            assert names
            sys.stdout.write(f"{step - 1}\n")
            return


main(Path(sys.argv[1]), Path(sys.argv[2]))
