"""A process that owns servers until its input ends, for tests to kill or to run as somebody else.

    python -m tests.integration.embedded.owner FOLDER [CAPABILITY...]

With capabilities named, it gives up all others first.
"""

import json
import sys
from pathlib import Path

import psutil

from service.embedded import launcher
from service.embedded.servers import EmbeddedServers
from service.errors import EmbeddedServerError

PR_CAPBSET_DROP = 24


def keep_only(capabilities: set[int]) -> None:
    """Be a root, and have children, that can do no more than *capabilities*."""
    permitted = launcher.permitted_capabilities()
    for capability in range(permitted.bit_length()):
        if permitted >> capability & 1 and capability not in capabilities:
            launcher.prctl(PR_CAPBSET_DROP, capability)
    kept = permitted & sum(1 << capability for capability in capabilities)
    launcher.set_capabilities(permitted=kept, effective=kept)


def main() -> None:
    """Start, tell of addresses and processes in one line of JSON, wait, stop."""
    folder, *capabilities = sys.argv[1:]
    if capabilities:
        keep_only({int(capability) for capability in capabilities})
    try:
        with EmbeddedServers(Path(folder)) as servers:
            mains = [psutil.Process(pid) for pid in (servers.postgres.pid, servers.valkey.pid)]
            children = [child for main in mains for child in main.children(recursive=True)]
            story = {
                "database_url": servers.database_url,
                "redis_url": servers.redis_url,
                "server_pids": [process.pid for process in mains],
                "child_pids": [process.pid for process in children],
            }
            sys.stdout.write(json.dumps(story) + "\n")
            sys.stdout.flush()
            sys.stdin.read()
    except EmbeddedServerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
