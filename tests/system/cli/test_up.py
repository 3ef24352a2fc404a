import signal

import httpx2 as httpx

from tests.system.stacks import (
    STOP_SECONDS,
    RunningStack,
    programs_in,
    stack_folder,
    started_stack,
)


async def test_up_says_where_it_is_open_when_it_answers(stack: RunningStack) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{stack.url}/ready")
    assert answer.status_code == 200
    assert answer.json()["workers"] == 1


def test_up_stops_when_nobody_reads_what_it_says() -> None:
    """A terminal that was closed, or a program that has read enough, keeps nothing running."""
    with stack_folder() as folder, started_stack(folder) as stack:
        assert stack.process.stdout is not None
        stack.process.stdout.close()
        stack.process.send_signal(signal.SIGINT)
        stack.process.wait(timeout=STOP_SECONDS)
        assert programs_in(folder) == []
