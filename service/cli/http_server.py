"""The HTTP server as our signals mean it: the first is a clean stop, the second hands back now."""

from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

_GRACEFUL_SECONDS = 10


class HttpServer(uvicorn.Server):
    """Serves *app* until SIGTERM or SIGINT; then `run` returns as after any other end.

    *on_signal* is called at each of these signals.
    uvicorn's own raises the signal once more when it has ended, so that a clean stop looks like
    a death, and takes no notice of a second SIGTERM.
    """

    def __init__(self, app: Any, on_signal: Callable[[], None]) -> None:  # noqa: ANN401  # Any ASGI.
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACEFUL_SECONDS,
                lifespan="on",
            )
        )
        self._on_signal = on_signal

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # uvicorn's.
        """Stop serving."""
        self.should_exit = True
        self._on_signal()
