import httpx2 as httpx

from tests.system.stacks import RunningStack


async def test_up_says_where_it_is_open_when_it_answers(stack: RunningStack) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{stack.url}/ready")
    assert answer.status_code == 200
    assert answer.json()["workers"] == 1
