"""Where the API listens."""

import socket

from service.errors import SettingsError


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raise SettingsError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"DATA20_HOST and DATA20_PORT: cannot listen on {host}:{port}: {error.strerror}"
        ) from None
    return listener


def address(listener: socket.socket) -> str:
    """Return the URL a listening socket answers at."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
