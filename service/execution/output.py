"""Reads what a tool writes: passes it on up to a limit, keeps its end, counts the rest."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from service.execution.lines import LineReader, Said
from service.execution.pipes import PipeReader
from service.execution.relay import Relay
from service.execution.sink import LogLine, Sink, Stream
from service.execution.tail import Tail, TailKeeper

_CHUNK_BYTES = 65_536
_TALKATIVE_CHUNK_BYTES = 8_192
_MANY_LINES = 500
"""Less is read at a time while there are many lines in it, so that the loop never waits long."""


class Transcript:
    """Follows both streams of a tool, while the task group it is started in lasts."""

    def __init__(self, stdout: int, stderr: int, sink: Sink, limit_bytes: int) -> None:
        self.allowance = Allowance(limit_bytes)
        self._relay = Relay(sink)
        self._readers = (
            _StreamReader("stdout", stdout, self._relay, self.allowance),
            _StreamReader("stderr", stderr, self._relay, self.allowance),
        )
        self._reading: list[asyncio.Task[None]] = []

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin to read and to pass on."""
        group.create_task(self._relay.run())
        self._reading = [group.create_task(reader.run()) for reader in self._readers]

    async def finish(self) -> None:
        """Read what is left in the pipes, without waiting for their ends, and pass it on."""
        for reader in self._readers:
            reader.pipe.drain()
        await asyncio.gather(*self._reading)
        self._relay.close()

    @property
    def tails(self) -> tuple[Tail, Tail]:
        """The ends of stdout and stderr so far."""
        stdout, stderr = self._readers
        return stdout.tail.tail(), stderr.tail.tail()


@dataclass(slots=True)
class Allowance:
    """What one attempt may still have passed on, both streams together, and what came after."""

    left_bytes: int
    left_out_bytes: int = 0
    left_out_lines: int = 0
    is_spent: bool = False


class _StreamReader:
    """Follows one stream of a tool from its first byte to its last."""

    def __init__(self, stream: Stream, descriptor: int, relay: Relay, allowance: Allowance) -> None:
        self.pipe = PipeReader(descriptor)
        self._stream: Stream = stream
        self._relay = relay
        self._allowance = allowance
        self._lines = LineReader()
        self.tail = TailKeeper()

    async def run(self) -> None:
        """Read until the pipe ends, or is drained."""
        chunk_bytes = _TALKATIVE_CHUNK_BYTES
        while not self._allowance.is_spent:
            data = await self.pipe.read(chunk_bytes)
            if not data:
                await self._pass_on(self._lines.finish())
                return
            self.tail.add(data)
            said = self._lines.feed(data)
            chunk_bytes = _CHUNK_BYTES if len(said.lines) < _MANY_LINES else _TALKATIVE_CHUNK_BYTES
            await self._pass_on(said)
            await asyncio.sleep(0)  # A tool that always has more to say must not be all we hear.
        self._allowance.left_out_bytes += len(self._lines.pending.encode())
        while data := await self.pipe.read(_CHUNK_BYTES):
            self.tail.add(data)
            self._allowance.left_out_bytes += len(data)
            self._allowance.left_out_lines += data.count(b"\n")
            await asyncio.sleep(0)

    async def _pass_on(self, said: Said) -> None:
        now = datetime.now(UTC)
        lines = [LogLine(self._stream, text, now) for text in self._allowed(said.lines)]
        await self._relay.add(lines, said.progress)

    def _allowed(self, texts: Sequence[str]) -> Sequence[str]:
        """As much of *texts* as may be passed on; what is over is counted."""
        allowance = self._allowance
        sizes = [len(text.encode()) + 1 for text in texts]
        if not allowance.is_spent and sum(sizes) <= allowance.left_bytes:
            allowance.left_bytes -= sum(sizes)
            return texts
        allowed: list[str] = []
        for text, size in zip(texts, sizes, strict=True):
            if not allowance.is_spent and size <= allowance.left_bytes:
                allowance.left_bytes -= size
                allowed.append(text)
            else:
                allowance.is_spent = True
                allowance.left_out_bytes += size
                allowance.left_out_lines += 1
        return allowed
