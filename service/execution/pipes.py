"""Pipes between the worker and a tool's tree."""

import asyncio
import fcntl
import os
from types import TracebackType
from typing import Self


class Pipe:
    """A pipe whose two ends are closed once each, whatever happens first.

    Neither end is inherited unless it is handed on by name.
    """

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def close_reader(self) -> None:
        """Close the reading end, if it is open."""
        descriptor, self.reader = self.reader, -1
        _close(descriptor)

    def close_writer(self) -> None:
        """Close the writing end, if it is open."""
        descriptor, self.writer = self.writer, -1
        _close(descriptor)

    def close(self) -> None:
        """Close both ends."""
        self.close_reader()
        self.close_writer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class PipeReader:
    """Reads what is in a pipe, waits for more, and can be told not to wait any longer."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_draining = False
        self._left_to_drain = 0
        self._waiter: asyncio.Future[None] | None = None
        os.set_blocking(descriptor, False)

    def drain(self) -> None:
        """Take what is in the pipe now, and then behave as if it were closed.

        Whoever still holds the other end may write on: no more than the pipe holds is taken.
        """
        self._is_draining = True
        self._left_to_drain = fcntl.fcntl(self._descriptor, fcntl.F_GETPIPE_SZ)
        self._wake()

    async def read(self, limit_bytes: int) -> bytes:
        """Up to *limit_bytes*, as soon as there are any; none when the pipe is at its end."""
        while True:
            if self._is_draining and self._left_to_drain <= 0:
                return b""
            try:
                data = os.read(self._descriptor, limit_bytes)
            except BlockingIOError:
                if self._is_draining:
                    return b""
                await self._readable()
            else:
                self._left_to_drain -= len(data)
                return data

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        loop.add_reader(self._descriptor, self._wake)
        try:
            await self._waiter
        finally:
            loop.remove_reader(self._descriptor)
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
