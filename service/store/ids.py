"""Job ids: UUID version 7, so that ids sort as the jobs came (RFC 9562, section 5.7)."""

import os
import threading
import time
from uuid import UUID

_COUNTER_BITS = 12
_lock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """Return a UUIDv7 greater than every one this process made before.

    The 12 bits after the millisecond count up within it (RFC 9562, section 6.2, method 1), and
    run on into the next one should a process make more than 4,096 ids in a millisecond or its
    clock be set back.
    """
    global _last  # noqa: PLW0603  # The order of ids is a property of the process.
    with _lock:
        _last = max(_last + 1, (time.time_ns() // 1_000_000) << _COUNTER_BITS)
        tick = _last
    milliseconds, counter = tick >> _COUNTER_BITS, tick & ((1 << _COUNTER_BITS) - 1)
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76 | counter << 64 | 0b10 << 62
    value |= int.from_bytes(os.urandom(8)) >> 2
    return UUID(int=value)
