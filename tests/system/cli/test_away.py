import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from tests.system.cli.commands import complaint, nothing_listens, succeed
from tests.system.stacks import RunningStack

ASKING = [
    ["tools"],
    ["tools", "speak", "--json"],
    ["run", "speak", "lines=1", "-f"],
    ["jobs"],
    ["jobs", "show", "01a20000-0000-7000-8000-000000000000"],
    ["jobs", "logs", "-f", "ffffffffffff"],
    ["jobs", "cancel", "01a20000-0000-7000-8000-000000000000"],
]


class Stranger(BaseHTTPRequestHandler):
    """Answers as no API of ours does."""

    code: ClassVar[int] = 200

    def do_GET(self) -> None:
        """Answer with a page."""
        self.send_response(self.code)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # Its own name.
        """Keep silent."""


class Proxy(Stranger):
    """Says that what is behind it does not answer."""

    code = 502


@pytest.fixture(params=[Stranger, Proxy], ids=["stranger", "proxy"])
def stranger(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the address of something that is not the API."""
    with ThreadingHTTPServer(("127.0.0.1", 0), request.param) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("arguments", ASKING, ids=" ".join)
def test_without_an_api_a_command_says_where_it_looked(
    stack: RunningStack, arguments: list[str]
) -> None:
    with nothing_listens() as url:
        said = complaint(stack, 3, *arguments, DATA20_URL=url)
    assert said == (
        f"The API does not answer at {url} (nothing listens there); "
        "`data20 up` starts one, DATA20_URL says where it is"
    )


def test_what_is_not_the_api_is_not_taken_for_it(stack: RunningStack, stranger: str) -> None:
    said = complaint(stack, 3, "tools", DATA20_URL=stranger)
    assert said.startswith((f"What answers at {stranger} is not", f"{stranger} answers 502"))


def test_the_api_is_found_by_host_and_port(stack: RunningStack) -> None:
    host, _, port = stack.url.removeprefix("http://").partition(":")
    assert "speak" in succeed(stack, "tools", DATA20_URL="", DATA20_HOST=host, DATA20_PORT=port)


def test_a_slash_after_the_address_does_no_harm(stack: RunningStack) -> None:
    assert "speak" in succeed(stack, "tools", DATA20_URL=f"{stack.url}/")


def test_no_proxy_stands_between_a_command_and_its_own_host(stack: RunningStack) -> None:
    with nothing_listens() as proxy:
        assert "speak" in succeed(stack, "tools", HTTP_PROXY=proxy, http_proxy=proxy)
