import asyncio
import fcntl
import os

from service.execution.pipes import Pipe, PipeReader


async def test_a_drained_pipe_gives_what_is_in_it_and_then_ends() -> None:
    with Pipe() as pipe:
        reader = PipeReader(pipe.reader)
        os.write(pipe.writer, b"said")
        reader.drain()

        assert await reader.read(100) == b"said"
        assert await reader.read(100) == b""


async def test_a_reader_that_waits_is_woken_by_the_drain() -> None:
    with Pipe() as pipe:
        reader = PipeReader(pipe.reader)
        reading = asyncio.create_task(reader.read(100))
        await asyncio.sleep(0)  # It waits now.
        reader.drain()

        assert await reading == b""


async def test_whoever_goes_on_writing_is_not_read_for_ever() -> None:
    with Pipe() as pipe:
        reader = PipeReader(pipe.reader)
        reader.drain()
        reads = 0
        os.write(pipe.writer, b"x")
        while reads < 2_000_000 and await reader.read(1):
            os.write(pipe.writer, b"x")
            reads += 1

        assert reads == fcntl.fcntl(pipe.reader, fcntl.F_GETPIPE_SZ)
